"""The message on the wire: read again by the email package, it is what went in and nothing more."""

from collections import Counter
from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.content.types import BadHeader, Rendered, Sender
from tests.letters import Addressing, build

NORTHWIND = Sender("Northwind Outdoor", "news@northwind.example", reply_to="care@northwind.example")
WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def addressed(**changes):
    facts = {
        "sender": NORTHWIND,
        "to": "ann@example.org",
        "message_id": "<0198f5a2.7.3@northwind.example>",
        "date": WHEN,
        "campaign_id": "cam_0123",
    }
    return Addressing(**(facts | changes))


def marketing(**changes):
    return addressed(
        unsubscribe_url="https://go.northwind.example/u/AQGY",
        list_id="news.northwind.example",
        feedback_id="c:w:csn",
        **changes,
    )


def reread(raw):
    """Return (header names with counts, text, html) and check what holds for every message."""
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.isascii()
    assert b"\r\n.\r\n" not in raw
    message = message_from_bytes(raw, policy=policy.default)
    assert not message.defects
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert [text.get_content_type(), html.get_content_type()] == ["text/plain", "text/html"]
    bodies = [part.get_payload(decode=True).decode() for part in (text, html)]
    return message, *bodies


def test_a_marketing_message_has_exactly_these_headers():
    message, text, html = reread(build(Rendered("Grüße & more", "<p>é</p>\n", "é\n"), marketing()))
    assert Counter(message.keys()) == Counter(
        [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "Reply-To",
            "List-Unsubscribe",
            "List-Unsubscribe-Post",
            "List-Id",
            "X-Campaign-Id",
            "Feedback-ID",
            "MIME-Version",
            "Content-Type",
        ]
    )
    assert message["Subject"] == "Grüße & more"
    assert message["From"] == "Northwind Outdoor <news@northwind.example>"
    assert message["To"] == "ann@example.org"
    assert message["Date"].datetime == WHEN
    assert message["Message-ID"] == "<0198f5a2.7.3@northwind.example>"
    assert message["List-Unsubscribe"] == "<https://go.northwind.example/u/AQGY>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"] == "<news.northwind.example>"
    assert (text, html) == ("é\r\n", "<p>é</p>\r\n")


def test_a_transactional_message_has_no_list_headers():
    message, _, _ = reread(build(Rendered("Reset", "<p>x</p>", "x"), addressed()))
    assert not [name for name in message if name.startswith("List-")]


@given(
    st.text(st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=300),
    st.text(st.characters(blacklist_categories=("Cs",)), max_size=2000),
)
def test_what_goes_in_comes_out(subject, body):
    raw = build(Rendered(subject, body, body[::-1]), marketing())
    message, text, html = reread(raw)
    assert len(message.keys()) == 13
    assert html.replace("\r\n", "\n") == body.replace("\r\n", "\n").replace("\r", "\n")
    assert text.replace("\r\n", "\n") == body[::-1].replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize(
    "body",
    [
        "",
        ".",
        ".\n.\n..\n.x\n",
        "a\r\n.\r\nb",
        "one\rtwo\r\nthree\nfour\r\r\n",
        "x" * 5000,
        "é" * 5000,
        "漢" * 5000,
        "😀" * 3000,
        "From here\nFrom there\n",
        "trailing space \ntrailing tab\t\n",
        "=?utf-8?q?a?= = == =3D",
        "--=_boundary\n--\n",
        "\x00\x01\x0b\x0c\x1b\x85\u2028\u2029",
        "a\n" * 1000,
        " \n" * 10,
    ],
)
def test_odd_bodies_survive(body):
    expected = body.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    _, text, html = reread(build(Rendered("s", body, body), addressed()))
    assert (text, html) == (expected, expected)


def test_content_that_imitates_the_boundary_stays_content():
    first = build(Rendered("s", "h", "t"), addressed())
    boundary = first.split(b'boundary="')[1].split(b'"')[0].decode()
    for body in (f"--{boundary}--\n", f"\n--{boundary}\nContent-Type: text/html\n\nx"):
        _, text, _ = reread(build(Rendered("s", "h", body), addressed()))
        assert text == body.replace("\n", "\r\n")


INJECTIONS = [
    "a\r\nBcc: evil@x.example",
    "a\nb",
    "a\rb",
    "=?utf-8?q?a=0D=0ABcc:_evil@x.example?=",
    "a\x85b",
    "a\u2028b",
    "\ud800",
    "a\x00",
]


@pytest.mark.parametrize("value", INJECTIONS)
@pytest.mark.parametrize(
    "place",
    [
        "from_name",
        "from_address",
        "reply_to",
        "subject",
        "to",
        "list_id",
        "unsubscribe_url",
        "message_id",
        "campaign_id",
        "feedback_id",
        "header_name",
        "header_value",
    ],
)
def test_no_field_lets_a_header_in(place, value):
    changes, sender, subject = {}, {}, "s"
    match place:
        case "subject":
            subject = value
        case "from_name" | "from_address" | "reply_to":
            sender = {place: value}
        case "header_name":
            changes["headers"] = ((value, "x"),)
        case "header_value":
            changes["headers"] = (("X-A", value),)
        case _:
            changes[place] = value
    facts = {"from_name": "N", "from_address": "n@x.example"} | sender
    with pytest.raises(BadHeader):
        build(Rendered(subject, "h", "t"), addressed(sender=Sender(**facts), **changes))


def test_the_message_is_the_same_each_time():
    assert build(Rendered("s", "h", "t"), marketing()) == build(Rendered("s", "h", "t"), marketing())


def test_own_headers_are_written():
    message, _, _ = reread(
        build(Rendered("s", "h", "t"), addressed(headers=(("X-Tag", "spring"), ("Precedence", "bulk"))))
    )
    assert (message["X-Tag"], message["Precedence"]) == ("spring", "bulk")


def test_readable_text_stays_readable_on_the_wire():
    raw = build(Rendered("Hello", "<p>Hello Jürgen</p>", "Hello Jürgen"), addressed())
    assert b"Hello J=C3=BCrgen" in raw
    assert b"Subject: Hello\r\n" in raw
