"""Pure decisions of channels: configurations, fingerprints, answers."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import parseaddr
from uuid import UUID

import pytest

from saas.channels import rules
from saas.channels.types import (
    ChannelDraft,
    Outcome,
    OutcomeKind,
    OutcomeScope,
    Purpose,
    Security,
    SmtpSettings,
    Stage,
)
from saas.kernel.errors import Invalid

K, S = OutcomeKind, OutcomeScope
DRAFT = ChannelDraft(
    name="Newsletter",
    purpose=Purpose.MARKETING,
    from_name="Northwind Outdoor",
    from_address="news@northwind.example",
    host="smtp.relay.example",
    port=587,
    security=Security.STARTTLS,
)


def checked(**changes):
    allow = changes.pop("allow", ())
    return rules.checked(replace(DRAFT, **changes), allow=allow)


def pointers(**changes):
    with pytest.raises(Invalid) as caught:
        checked(**changes)
    return {fault.pointer for fault in caught.value.faults}


@pytest.mark.parametrize(
    ("given", "wire"),
    [
        ("ann@example.net", "ann@example.net"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ännä@bücher.example", "ännä@xn--bcher-kva.example"),
        ("", None),
        ("ann", None),
        ("@example.net", None),
        ("ann@", None),
        ("a@b@example.net", None),
        ("ann @example.net", None),
        ("ann@example.net>\r\nRCPT TO:<x@y.example", None),
        ("ann@example.net\n", None),
        ("ann@example.net\0", None),
        ("<ann@example.net>", None),
        ("ann@example.net,bob@example.net", None),
        ("a\u2028b@example.net", None),
        (f"{'a' * 320}@example.net", None),
        ("ann@ex\u0300\u200bample..net", None),
    ],
)
def test_addresses_on_the_wire(given, wire):
    assert rules.wire_address(given) == wire


def test_a_good_draft_comes_back_in_its_one_spelling():
    found = checked(
        name="  Newsletter ",
        from_address=" Anna@Northwind.EXAMPLE ",
        reply_to="help@bücher.example",
        return_path="",
        host="SMTP.Relay.example.",
        username="",
    )
    assert found.name == "Newsletter"
    assert found.from_address == "Anna@northwind.example"
    assert found.reply_to == "help@xn--bcher-kva.example"
    assert found.return_path is None and found.username is None
    assert found.host == "smtp.relay.example"
    assert checked(host="smtp.bücher.example").host == "smtp.xn--bcher-kva.example"
    assert checked(host="[2606:4700:4700:0::1111]").host == "2606:4700:4700::1111"


EVIL = [
    "a\rb", "a\nb", "a\r\nBcc: x@y.example", "a\r\n\tb", "a\0b", "a\x0bb", "a\x0cb", "a\x85b", "a\u2028b", "a\u2029b",
    "=?utf-8?q?Bob=0D=0ABcc:_evil@x.example?=", "=?utf-8?b?Qm9iDQpCY2M6IGU=?=", "a\ud800b", "x" * 50_000, "", "  ",
]  # fmt: skip


@pytest.mark.parametrize("text", EVIL)
def test_from_names_cannot_carry_headers(text):
    assert pointers(from_name=text) == {"/from_name"}


@pytest.mark.parametrize("field", ["from_address", "reply_to", "return_path"])
@pytest.mark.parametrize(
    "text",
    [
        "a", "a@b", "a b@x.example", "a@x.example, b@x.example", "a@x.example\r\nBcc: b@x.example", "A <a@x.example>",
        "a@[127.0.0.1]", "a@x.example\0", "ä@x.example", "=?utf-8?q?a?=@x.example", "a@localhost",
        '"a\r\nb"@x.example', f"{'a' * 70}@x.example",
    ],
)  # fmt: skip
def test_addresses_are_one_plain_address(field, text):
    assert pointers(**{field: text}) == {f"/{field}"}


@pytest.mark.parametrize(
    "host",
    ["", "user@smtp.example.com", "http://smtp.example.com", "smtp.example.com:25", "a b.example", "a..example",
     "smtp.example.com\r\nx", "-a.example", "127.0.0.1", "localhost", "10.1.2.3", "[::1]", "::ffff:10.0.0.1",
     "169.254.169.254", "metadata.google.internal", "0x7f.1", "127.1", "１２７.0.0.1", "2130706433", "redis",
     "fe80::1%eth0"],
)  # fmt: skip
def test_hosts(host):
    assert pointers(host=host) == {"/host"}


def test_the_error_names_the_ports():
    with pytest.raises(Invalid) as caught:
        checked(port=8025)
    assert [(f.pointer, "25, 465, 587, 2525" in f.message) for f in caught.value.faults] == [("/port", True)]


def test_exempt_targets_may_be_anything():
    allow = ("127.0.0.1:8025",)
    assert checked(host="127.0.0.1", port=8025, security=Security.NONE, username="u", allow=allow).port == 8025
    assert pointers(host="127.0.0.1", port=25, allow=allow) == {"/host"}


def test_passwords_do_not_travel_unprotected():
    assert pointers(security=Security.NONE, username="u", password="p") == {"/security"}


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "", "x" * 501])
def test_secrets_have_no_control_characters(text):
    assert pointers(username="u", password=text) == {"/password"}


def test_all_faults_are_told_at_once():
    found = pointers(name="", from_name="=?", from_address="x", host="a b", rate_per_minute=0)
    assert found == {"/name", "/from_name", "/from_address", "/host", "/rate_per_minute"}


@pytest.mark.parametrize(
    ("change", "elsewhere"),
    [
        ({"host": "smtp.other.example"}, True),
        ({"port": 465}, True),
        ({"security": Security.TLS}, True),
        ({"username": "other"}, True),
        ({"name": "x"}, False),
        ({"from_address": "x@northwind.example"}, False),
        ({"return_path": "x@northwind.example"}, False),
    ],
)
def test_where_a_password_leads(change, elsewhere):
    assert rules.leads_elsewhere(DRAFT, replace(DRAFT, **change)) is elsewhere


def test_secrets_are_in_no_repr():
    assert "hunter2" not in repr(replace(DRAFT, username="u", password="hunter2"))
    settings = SmtpSettings(UUID(int=1), "smtp.relay.example", 587, Security.TLS, "u", "hunter2")
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://mail.northwind.example", "mail.northwind.example"),
        ("http://127.0.0.1:8000", "[127.0.0.1]"),
        ("http://[::1]:8000/x", "[IPv6:::1]"),
        ("https://bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_ehlo_name(url, name):
    assert rules.ehlo_name(url) == name


@pytest.mark.parametrize("name", ["Northwind Outdoor", 'Anna "A" \\ B', "Größe & Söhne " * 6, "日本" * 30, "Ann, Bob"])
def test_the_trial_message_is_sound(name):
    draft = replace(DRAFT, from_name=name.strip(), reply_to="help@northwind.example")
    made = rules.trial_message(
        draft, to="ann@example.net", now=datetime(2026, 11, 21, tzinfo=UTC), message_id=UUID(int=7)
    )
    assert made.isascii() and max(map(len, made.split(b"\r\n"))) <= 200
    assert made.count(b"\n") == made.count(b"\r\n") == made.count(b"\r")
    read = message_from_bytes(made)
    shown, address = parseaddr(str(make_header(decode_header(read["From"]))))
    assert (shown, address) == (name.strip(), "news@northwind.example")
    assert [key.lower() for key in read] == [
        "from", "to", "reply-to", "subject", "date", "message-id", "auto-submitted", "mime-version", "content-type",
    ]  # fmt: skip


def test_verdicts_are_generic():
    for stage in Stage:
        found = rules.verdict(Outcome(K.DEFERRED, S.CHANNEL, "secret banner"), stage, host="smtp.relay.example")
        assert not found.accepted and "secret" not in found.text
    assert rules.verdict(Outcome(K.ACCEPTED), Stage.CONTENT, host="h.example").text == "accepted by h.example"
