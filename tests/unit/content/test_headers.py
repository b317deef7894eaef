"""The header guard against the corpus of security.md F, and how values are spelled."""

import base64
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.content.rules import headers
from saas.content.types import BadHeader

REFUSED = [
    "a\rb",
    "a\nb",
    "a\r\nBcc: evil@x.example",
    "a\r\n\tb",
    "a\x00b",
    "a\x0bb",
    "a\x0cb",
    "a\x85b",
    "a\u2028b",
    "a\u2029b",
    "a\ud800b",
    "a\x7fb",
    "a\x1bb",
    "=?utf-8?q?Bob=0D=0ABcc:_evil@x.example?=",
    "=?UTF-8?Q?Bob=0aBcc:_evil@x.example?=",
    "=?utf-8?b?" + base64.b64encode(b"Bob\r\nBcc: evil@x.example").decode() + "?=",
    "=?utf-8?B?" + base64.b64encode("a\u2028b".encode()).decode() + "?=",
    "=?utf-16?b?" + base64.b64encode("a\r\nBcc: x".encode("utf-16")).decode() + "?=",
    "=?utf-7?q?a+AA0-+AAo-Bcc:x?=",
    "=?nonsense?q?a=0D=0Ab?=",
    "=?utf-8*en?q?a=0D=0Ab?=",
    "=?hex?q?a=0D=0Ab?=",
    "=??q?a=0D=0Ab?=",
    "=?utf-8?q?=3D=3Futf-8=3Fq=3Fa=3D0D=3D0Ab=3F=3D?=",
    "x" * 50_000,
]


@pytest.mark.parametrize("value", REFUSED)
def test_control_characters_are_refused_plain_and_encoded(value):
    with pytest.raises(BadHeader):
        headers.guard_value(value)


@pytest.mark.parametrize("value", ["=?utf-8?q?Bob?=", "a =? b", "=?utf-8?b?Qm9i?=", "=?x", "=?=?=?"])
def test_what_looks_encoded_is_broken_up(value):
    assert "=?" not in headers.guard_value(value)


@pytest.mark.parametrize("value", ["", "Hello", "Zürich 😀", "2+2=4?", "עברית", "a\u00a0b"])
def test_other_values_stay(value):
    assert headers.guard_value(value) == value


@given(st.text())
def test_the_guard_lets_no_line_break_through(value):
    try:
        guarded = headers.guard_value(value)
    except BadHeader:
        return
    assert len(f"{guarded}x".splitlines()) == 1
    assert "=?" not in guarded


@pytest.mark.parametrize(
    "name",
    [
        "Bcc",
        "To",
        "Received",
        "DKIM-Signature",
        "Subject",
        "From",
        "X-A: 1\r\nBcc",
        "X-A ",
        "X-Ä",
        "",
        "x" * 61,
        "X-Campaign-Id",
        "List-Unsubscribe",
        "Content-Type",
        "Return-Path",
        "X-A\n",
    ],
)
def test_other_header_names_are_refused(name):
    with pytest.raises(BadHeader):
        headers.guard_name(name)


@pytest.mark.parametrize("name", ["X-Mailer-Tag", "x-a", "Feedback-ID", "Auto-Submitted", "Precedence"])
def test_some_header_names_are_allowed(name):
    assert headers.guard_name(name) == name


@pytest.mark.parametrize(
    "address",
    [
        "",
        "a",
        "a@",
        "@b.example",
        "a@b.example, c@d.example",
        "a@b.example c",
        "a b@c.example",
        "<a@b.example>",
        "a@b.example\n",
        "a@b.example\r\nBcc: x@y.example",
        '"a b"@c.example',
        "a@bücher.example",
        "ü@b.example",
        "a..b@c.example",
        "a@-b.example",
        "=?utf-8?q?a=0D=0ABcc=3Ax?=@b.example",
        "a@b..example",
        "a" * 250 + "@b.example",
        "a@" + "b." * 130 + "example",
        "a@b@c.example",
        "a@[127.0.0.1]",
        "a\x00@b.example",
        "a(x)@b.example",
        "a;b@c.example",
    ],
)
def test_what_is_no_single_plain_address_is_refused(address):
    with pytest.raises(BadHeader):
        headers.guard_address(address)


@pytest.mark.parametrize("address", ["a@b.example", "a.b+c@xn--bcher-kva.example", "o'hara@b.example", "a@localhost"])
def test_plain_addresses_pass(address):
    assert headers.guard_address(address) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://x.example",
        "https://x.example/\r\nBcc: x",
        "https://x.example/>",
        "https://x.example/ a",
        "https://x.example/ü",
        "https://x.example/" + "a" * 900,
        "javascript:x",
        "https://x.example/<",
        "https://x.example/=?utf-8?q?a?=",
    ],
)
def test_addresses_in_headers_are_plain(url):
    with pytest.raises(BadHeader):
        headers.guard_url(url)


def test_a_url_passes():
    assert headers.guard_url("https://x.example/u/AQGY9a-_?a=1&b=2") == "https://x.example/u/AQGY9a-_?a=1&b=2"


def parsed(line):
    return message_from_bytes(line.encode("ascii") + b"\r\n\r\n", policy=policy.compat32)


@given(st.text(st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp")), max_size=200))
def test_subjects_come_back_as_they_were(value):
    line = headers.text_header("Subject", value)
    message = parsed(line)
    assert message.keys() == ["Subject"]
    assert all(len(each) <= headers.LINE for each in line.split("\r\n"))
    shown = str(make_header(decode_header(message["Subject"] or "")))
    assert shown.strip() == value.replace("=?", "=\u200b?").strip()


@given(st.text(st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp")), max_size=100))
def test_display_names_come_back_as_they_were(value):
    message = parsed(headers.address_header("From", "a@b.example", display_name=value))
    assert message.keys() == ["From"]
    name, address = parseaddr(" ".join(message["From"].split()))
    assert address == "a@b.example"
    shown = str(make_header(decode_header(name)))
    assert shown.split() == value.replace("=?", "=\u200b?").split()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("", "From: a@b.example"),
        ("Northwind Outdoor", "From: Northwind Outdoor <a@b.example>"),
        ("Smith, John", 'From: "Smith, John" <a@b.example>'),
        ('The "X" \\ Co.', 'From: "The \\"X\\" \\\\ Co." <a@b.example>'),
        ("Zoë", "From: =?utf-8?b?Wm/Dqw==?= <a@b.example>"),
    ],
)
def test_display_names_are_spelled_plainly_where_they_can(name, line):
    assert headers.address_header("From", "a@b.example", display_name=name) == line


def test_long_subjects_are_folded_between_words():
    line = headers.text_header("Subject", "word " * 40 + "end")
    assert all(len(each) <= headers.LINE for each in line.split("\r\n"))
    assert line.replace("\r\n", "") == "Subject: " + "word " * 40 + "end"


@pytest.mark.parametrize("address", ["почта143@example.com", "josé@xn--e1afmkfd.example", "a@b.example"])
def test_recipients_may_have_international_local_parts(address):
    assert headers.guard_mailbox(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "почта@при мер.example",
        "по\u2028чта@example.com",
        "по,чта@example.com",
        "по<чта@example.com",
        "п..х@example.com",
    ],
)
def test_what_is_no_single_recipient_is_refused(address):
    with pytest.raises(BadHeader):
        headers.guard_mailbox(address)
