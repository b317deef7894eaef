from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.platform.embedded.inbox.parsing import content_of, decoded, links_in, summary_of
from saas.platform.embedded.inbox.types import Arrival, Summary
from saas.platform.embedded.inbox.web import linked

AT = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)


def summary(content):
    return summary_of(Arrival(AT, "a@example.com", ("b@example.com",), content), number=7)


def test_the_index_reads_three_headers_whatever_their_case_and_folding():
    found = summary(
        b"message-id:\r\n <1@example.com>\r\nSUBJECT: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?b?IGF1cyBLw7Zsbg==?=\r\n"
        b"X-Campaign-Id: cam_1\r\nSubject: second\r\n\r\nX-Campaign-Id: in the body\r\n"
    )
    assert found == Summary(7, AT, "a@example.com", ("b@example.com",), "<1@example.com>", "Grüße aus Köln", "cam_1")


def test_headers_in_the_body_do_not_count():
    assert summary(b"\r\nSubject: body\r\n\r\nmore").subject == ""
    assert summary(b"To: x\r\n\r\nSubject: body\r\n").message_id is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("Grüße =?utf-8?q?=E2=82=AC?= 5", "Grüße € 5"),
        ("=?iso-8859-1?q?caf=E9?=", "café"),
        ("=?no-such-charset?q?x?=", "x"),
        ("=?utf-8?b?a?=", "=?utf-8?b?a?="),
        ("folded\r\n  twice", "folded  twice"),
    ],
)
def test_header_values_are_decoded_as_far_as_possible(value, text):
    assert decoded(value) == text


def test_a_multipart_message_opens_into_text_and_html():
    raw = (
        b"From: a@example.com\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nw6Q=\r\n"
        b"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>\xc3\xa4</p>\r\n--b--\r\n"
    )
    content = content_of(raw)
    assert content.headers[1] == ("Subject", "x")
    assert content.text == "ä"
    assert content.html == "<p>ä</p>"


@given(st.binary(max_size=300))
def test_nothing_that_arrives_breaks_the_index_or_the_page(noise):
    for raw in (noise, b"Subject: =?utf-8?" + noise, b"Content-Type: multipart/mixed; boundary=" + noise + b"\r\n\r\n"):
        summary(raw).to_json()
        content_of(raw)


@given(st.text(max_size=50), st.lists(st.text(max_size=20), max_size=3))
def test_a_summary_survives_its_json(subject, to):
    before = Summary(1, AT, "", tuple(to), None, subject, None)
    assert before.to_json()["received_at"] == "2026-03-04T05:06:07.000089Z"
    assert Summary.from_json(before.to_json()) == before


def test_links_of_an_html_part_are_web_addresses_only_and_once():
    html = '<a href="https://x.example/?a=1&amp;b=2">1</a><a href="javascript:x()">2</a><a href=https://x.example/?a=1&amp;b=2>'
    assert links_in(html) == ("https://x.example/?a=1&b=2",)


def test_plain_text_is_escaped_and_its_addresses_become_links():
    shown = linked(
        'See <b> http://127.0.0.1:8000/invitations/abc?x=1&y="2. Or javascript:alert(1), https://b.example/).'
    )
    assert shown == (
        'See &lt;b&gt; <a href="http://127.0.0.1:8000/invitations/abc?x=1&amp;y=" rel="noreferrer noopener">'
        "http://127.0.0.1:8000/invitations/abc?x=1&amp;y=</a>&#34;2. Or javascript:alert(1), "
        '<a href="https://b.example/" rel="noreferrer noopener">https://b.example/</a>).'
    )
