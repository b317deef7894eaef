"""The holes that need no Liquid. That they show what Liquid shows, tests/integration/content/test_letter.py proves."""

import pytest

from saas.content.rules.natives import Odd, escaped, reader
from saas.content.types import Native

NAME = ("contact", "name")


def read(filters=(), path=NAME, **contact):
    return reader(Native(path, tuple(filters)))({"contact": contact, "unsubscribe_url": "https://x.example"})


@pytest.mark.parametrize(
    ("value", "shown", "upper"),
    [
        (None, "", ""),
        (True, "true", "TRUE"),
        (False, "false", "FALSE"),
        (0, "0", "0"),
        (1.5, "1.5", "1.5"),
        ("a", "a", "A"),
    ],
)
def test_simple_values_show(value, shown, upper):
    assert read(name=value) == shown
    assert read([("upcase", "")], name=value) == upper


@pytest.mark.parametrize("value", [["a"], {"a": 1}, object(), pytest.param(10**5000, id="digits")])
@pytest.mark.parametrize("filters", [(), [("strip", "")]])
def test_other_values_are_liquids(value, filters):
    with pytest.raises(Odd):
        read(filters, name=value)


def test_unusual_rows_are_liquids():
    for path in (("nowhere",), ("nowhere", "a"), ("unsubscribe_url", "a"), ("nowhere", "a", "b")):
        with pytest.raises(Odd):
            read(path=path)
    with pytest.raises(Odd):
        read([("upcase", "")], name="x" * 60_001)
    assert read(path=("unsubscribe_url",)) == "https://x.example"
    assert read(path=("contact", "name", "deep"), name="text") == ""


@pytest.mark.parametrize("value", [None, False, ""])
def test_a_default_goes_through_the_rest_and_is_not_escaped(value):
    shown = read([("default", ""), ("default", "<b>é"), ("upcase", "")], name=value)
    assert shown == escaped(shown) == "<B>É"
    assert escaped(read([("default", "x"), ("upcase", "")], name="<b>")) == "&lt;B&gt;"
    assert read([("default", "x")], name=0) == "0"
