"""System mail as bytes: what people typed never becomes a header or markup of its own."""

import email
import email.policy
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.kernel.errors import Invalid
from saas.notices.rules import ascii_address, build, mailbox, server_of
from saas.notices.types import MailLogo, MailNotSent, Security, SystemMail

DATE = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
HEADERS = [
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
]  # fmt: skip
HOSTILE = [
    "Bob\r\nBcc: evil@example.org",
    "=?utf-8?q?Bob=0D=0ABcc:_evil@example.org?=",
    "=?utf-8?b?Qm9iDQpCY2M6IGV2aWxAZXhhbXBsZS5vcmc=?=",
    "Bob\0\x0b\x0c\x85\u2028\u2029",
    "<script>alert(1)</script>",
    "Åse Ødegård " * 30,
    "😀" * 200,
    "\ud800",
    "",
]


def message(text):
    mail = SystemMail(
        to="bea@northwind.example",
        subject=f"{text} invites you to {text}",
        paragraphs=(f"Hello {text},", "second"),
        button="Accept",
        url="https://app.example.com/invitations/x",
        closing="Closing words.",
    )
    return build(mail, sender="Countersign <no-reply@countersign.example>", date=DATE, message_id="1@x.example")


def check(text):
    raw = message(text)
    raw.decode("ascii")
    assert raw.replace(b"\r\n", b"").count(b"\r") == raw.replace(b"\r\n", b"").count(b"\n") == 0
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\r\n.\r\n" not in raw
    found = email.message_from_bytes(raw, policy=email.policy.default)
    assert found.keys() == HEADERS
    assert found["To"] == "bea@northwind.example"
    assert found["From"].addresses[0].addr_spec == "no-reply@countersign.example"
    html = found.get_body(("html",)).get_content()
    assert "<script" not in html and "<img" not in html and "http://" not in html
    assert "https://app.example.com/invitations/x" in found.get_body(("plain",)).get_content()
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_stay_words(text):
    check(text)


@given(st.text(max_size=300))
def test_any_words_stay_words(text):
    check(text)


def test_words_arrive_as_typed():
    found = check("Åse & Sønn <AS>")
    assert str(found["Subject"]) == "Åse & Sønn <AS> invites you to Åse & Sønn <AS>"
    assert "Hello Åse & Sønn <AS>," in found.get_body(("plain",)).get_content()
    assert "Hello Åse &amp; Sønn &lt;AS&gt;," in found.get_body(("html",)).get_content()


def test_servers_by_url():
    plain = server_of("smtp://127.0.0.1:8025")
    assert (plain.host, plain.port, plain.security, plain.username) == ("127.0.0.1", 8025, Security.NONE, "")
    full = server_of("smtps://user%40x:p%3Aw@mail.example.com")
    assert (full.port, full.security, full.username, full.password) == (465, Security.TLS, "user@x", "p:w")
    assert server_of("smtp+starttls://mail.example.com").port == 587
    for wrong in ("", "mail.example.com", "http://mail.example.com", "smtp://"):
        with pytest.raises(MailNotSent):
            server_of(wrong)


def test_addresses_on_the_wire():
    assert ascii_address("a@bücher.example") == "a@xn--bcher-kva.example"
    assert mailbox("Countersign <no-reply@countersign.example>") == ("Countersign", "no-reply@countersign.example")
    for wrong in (
        "ü@x.example",
        "a@x.example\r\nBcc: b@x.example",
        "a b@x.example",
        "=?x?@x.example",
        "@x.example",
        "a@",
    ):
        with pytest.raises(Invalid):
            ascii_address(wrong)


def test_a_workspaces_mail_wears_its_name_colour_and_logo():
    """White label: the logo is a part of the mail, and nothing is fetched when it is opened."""
    png = bytes(range(256)) * 3
    mail = SystemMail(
        to="bea@northwind.example", subject="Hello", paragraphs=("One.",), button="Open", url="https://app.example/x",
        closing="Bye.", heading="Northwind <Club>", colour="#7a1f4a", logo=MailLogo("image/png", png),
    )  # fmt: skip
    raw = build(
        mail, sender="Countersign <system@app.example>", date=datetime(2026, 11, 22, tzinfo=UTC), message_id="a@b"
    )
    found = email.message_from_bytes(raw, policy=email.policy.default)
    html = found.get_body(("html",)).get_content()
    assert 'src="cid:logo@countersign"' in html and 'alt="Northwind &lt;Club&gt;"' in html and "#7a1f4a" in html
    assert "http" not in html.replace("https://app.example/x", "")
    [image] = [part for part in found.walk() if part.get_content_type() == "image/png"]
    assert (image["Content-ID"], image.get_content()) == ("<logo@countersign>", png)
    assert found.get_body(("plain",)).get_content().startswith("One.")
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
