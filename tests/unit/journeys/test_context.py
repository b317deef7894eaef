"""The declared payload of calls (R5.6)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import saas.campaigns.steps
import saas.journeys.steps
from saas.journeys.rules.calls import MAX_CONTEXT_TEXT, context_fault

PAYLOAD = [
    {"key": "url", "kind": "text", "required": True},
    {"key": "amount", "kind": "number", "required": False},
    {"key": "first", "kind": "boolean", "required": False},
]


@pytest.mark.parametrize(
    "context",
    [{"url": "x"}, {"url": ""}, {"url": "x", "amount": 1}, {"url": "x", "amount": -1.5, "first": False},
     {"url": "x", "amount": None, "first": None}, {"url": "x" * MAX_CONTEXT_TEXT}, {"url": "x", "amount": 0}],
)  # fmt: skip
def test_r5_6_what_was_declared_is_taken(context):
    assert context_fault(context, PAYLOAD) is None


@pytest.mark.parametrize(
    ("context", "about"),
    [
        ({}, "context.url"), ({"url": None}, "context.url"), ({"url": 1}, "context.url"), ({"url": ["x"]}, "context.url"),
        ({"url": {"a": 1}}, "context.url"), ({"url": True}, "context.url"), ({"url": "a\0b"}, "context.url"),
        ({"url": "\ud800"}, "context.url"), ({"url": "x" * (MAX_CONTEXT_TEXT + 1)}, "context.url"),
        ({"url": "x", "amount": "1"}, "context.amount"), ({"url": "x", "amount": True}, "context.amount"),
        ({"url": "x", "amount": float("nan")}, "context.amount"), ({"url": "x", "amount": float("inf")}, "context.amount"),
        ({"url": "x", "amount": 10**400}, "context.amount"),
        ({"url": "x", "first": 1}, "context.first"), ({"url": "x", "first": "true"}, "context.first"),
        ({"url": "x", "other": 1}, "context.other"), ({"url": "x", "URL": "x"}, "context.URL"),
    ],
)  # fmt: skip
def test_r5_6_anything_else_is_told(context, about):
    fault = context_fault(context, PAYLOAD)
    assert fault is not None
    assert fault.startswith(about + " ")


def test_r5_6_nothing_declared_means_nothing_is_taken():
    assert context_fault({}, []) is None
    assert context_fault({"x": 1}, []) is not None


@given(
    st.dictionaries(
        st.sampled_from(["url", "amount", "first", "x"]),
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    )
)
def test_r5_6_a_context_never_breaks_the_rule(context):
    fault = context_fault(context, PAYLOAD)
    if fault is None:
        assert isinstance(context["url"], str)
        assert set(context) <= {"url", "amount", "first"}


def test_a_step_kind_is_two_files_of_one_name():
    def kinds(package):
        return {path.stem for path in Path(package.__path__[0]).glob("*.py")} - {"__init__"}

    assert kinds(saas.campaigns.steps) == kinds(saas.journeys.steps)
