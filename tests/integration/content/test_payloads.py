"""Bodies of webhooks: Liquid that makes JSON, in which no value can end its place."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas.content.jail.renderer import Renderer
from saas.content.service.payloads import MAX_BODY, check_payload, compile_payload, payload_row
from saas.content.types import Addressee, RenderFailure, TemplateError

pytestmark = pytest.mark.integration

KNOWN = frozenset({"contact.email", "contact.first_name", "contact.age", "contact.vip", "context.*", "workspace.name"})
AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def renderer():
    with Renderer() as found:
        yield found


def person(*, context=None, **contact):
    return Addressee(to="", message_id="<x@>", contact={"email": "ann@example.org", **contact}, context=context or {})


def write(renderer, body, *people):
    return list(compile_payload(renderer, body, workspace_name="Northwind").write(people, date=AT))


def made(renderer, body, *, context=None, **contact):
    (found,) = write(renderer, body, person(context=context, **contact))
    assert isinstance(found, bytes), found
    return json.loads(found)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('{"a": 1}', {"a": 1}),
        (' ["{{ contact.email }}"] ', ["ann@example.org"]),
        ('{"n": "{{ contact.first_name }}"}', {"n": 'An"n\\ <é>\n'}),
        ('{"n": "Hi {{ contact.first_name | upcase }}!"}', {"n": 'Hi AN"N\\ <É>\n!'}),
        ('{"n": {{ contact.first_name | json }}}', {"n": 'An"n\\ <é>\n'}),
        ('{"n": {{ contact.age }}, "v": {{ contact.vip }}}', {"n": 41, "v": True}),
        ('{"n": {{ contact.nothing | json }}, "t": "{{ contact.nothing }}"}', {"n": None, "t": ""}),
        ('{"o": {{ context.order | json }}}', {"o": {"sku": 'b"x', "n": [1, 2.5, None]}}),
        ('{"n": [{% for n in context.order.n %}{{ n | json }}{% unless forloop.last %},{% endunless %}{% endfor %}]}',
         {"n": [1, 2.5, None]}),
        ('{% capture x %}{{ contact.first_name }}{% endcapture %}{"n": "{{ x }}"}', {"n": 'An"n\\ <é>\n'}),
        ('{% assign x = contact.first_name | append: \'"\' %}{"n": "{{ x }}"}', {"n": 'An"n\\ <é>\n"'}),
        ('{"n": "{% echo contact.first_name %}"}', {"n": 'An"n\\ <é>\n'}),
        ('{"n": "{% if contact.vip %}{{ contact.first_name }}{% endif %}"}', {"n": 'An"n\\ <é>\n'}),
        ('{% liquid\n assign x = contact.first_name\n%}{"n": "{{ x }}"}', {"n": 'An"n\\ <é>\n'}),
        ('{"w": "{{ workspace.name }}"}', {"w": "Northwind"}),
    ],
)  # fmt: skip
def test_what_templates_make(renderer, body, found):
    order = {"sku": 'b"x', "n": [1, 2.5, None]}
    assert made(renderer, body, context={"order": order}, first_name='An"n\\ <é>\n', age=41, vip=True) == found


TEMPLATES = (
    '{"n": "{{ contact.first_name }}", "last": 1}',
    '{"n": {{ contact.first_name | json }}, "last": 1}',
    '{"n": "{% if true %}{% capture x %}{{ contact.first_name }}{% endcapture %}{{ x }}{% endif %}", "last": 1}',
    '{"n": "{% for x in (1..1) %}{{ contact.first_name | default: \'x\' }}{% endfor %}", "last": 1}',
)


@given(st.text(min_size=1, max_size=60).filter(lambda text: text.encode(errors="ignore").decode() == text))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_value_can_end_its_string(renderer, value):
    for body in TEMPLATES:
        assert made(renderer, body, first_name=value) == {"n": value, "last": 1}


@pytest.mark.parametrize("value", ['", "admin": true, "x": "', '"}', "\\", '\\"', "\u2028", "\x00\x1f"])
def test_values_that_try_to(renderer, value):
    for body in TEMPLATES:
        assert made(renderer, body, first_name=value) == {"n": value, "last": 1}


def test_one_persons_failure_is_their_own(renderer):
    body = '{"age": {{ contact.age }}}'
    one, two, three = write(renderer, body, person(age=1), person(), person(age=3))
    assert (one, three) == (b'{"age": 1}', b'{"age": 3}')
    assert isinstance(two, RenderFailure) and "no JSON" in two.reason and "ann" not in two.reason
    (long,) = write(renderer, '{"a": "{{ contact.first_name }}"}', person(first_name="x" * MAX_BODY))
    assert isinstance(long, RenderFailure) and "longer" in long.reason
    (nan,) = write(renderer, '{"a": NaN}', person())
    assert isinstance(nan, RenderFailure)


def test_many_people_in_their_order(renderer):
    found = write(renderer, '{"n": {{ contact.age }}}', *[person(age=n) for n in range(600)])
    assert [json.loads(body)["n"] for body in found] == list(range(600))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "needs a body"),
        (" \n", "needs a body"),
        ("x" * (128 * 1024 + 1), "over the limit"),
        ('{"a": "{{ contact.firstname }}"}', "contact.first_name meant"),
        ('{"a": "{{ unsubscribe_url }}"}', "no variable"),
        ('{"a": "{{ contact.email | jsn }}"}', "no filter"),
        ('{"a": "{% if %}"}', "line 1"),
        ('{"a": "{% cycle contact.email, contact.first_name %}"}', "line 1"),
        ("{% tablerow x in context.y %}{{ x }}{% endtablerow %}", "line 1"),
        ('{"a": {{ contact.age }}}', "no json"),
        ('{"a": 1,}', "no json"),
        ("Hello {{ contact.email }}", "no json"),
    ],
)
def test_what_cannot_be_sent_is_refused(renderer, body, words):
    sample = payload_row(contact={"email": "ann@example.org"}, context={}, workspace_name="Northwind")
    with pytest.raises(TemplateError) as refused:
        check_payload(renderer, body, known=KNOWN, samples=[sample])
    assert {fault.pointer for fault in refused.value.faults} == {"/body"}
    assert words.lower() in refused.value.detail.lower()


def test_what_can_be_sent_says_what_it_reads(renderer):
    body = '{"mail": "{{ contact.email }}", "total": {{ context.order.total | json }}}'
    sample = payload_row(contact={"email": "ann@example.org"}, context={"order": {"total": 3}}, workspace_name="N")
    checked = check_payload(renderer, body, known=KNOWN, samples=[sample])
    assert (checked.body, checked.used) == (body, {"contact.email", "context.order"})


def test_mail_has_no_such_filter(renderer):
    """`json` belongs to bodies: in HTML it would put quotation marks where they must not stand."""
    assert renderer.survey({"html": "{{ contact.email | json }}"})["html"].flaws
    assert not renderer.survey({"body": "{{ contact.email | json }}"})["body"].flaws
