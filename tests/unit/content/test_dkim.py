"""DKIM signatures, verified by a reader written from RFC 6376 alone: line by line, knowing nothing of the signer."""

import base64
import hashlib
import re

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from saas.content.rules.dkim import Algorithm, DkimSigner, dns_record, new_key
from saas.kernel.errors import Invalid

KEYS = {algorithm: new_key(algorithm) for algorithm in Algorithm}
HEAD = (
    b"From: Northwind Outdoor <news@northwind.example>\r\nDate: Wed, 04 Mar 2026 05:06:07 +0000\r\n"
    b"To: ann@example.org\r\nSubject: Spring  is \r\n\there\t now \r\nMessage-ID: <7.1@northwind.example>\r\n"
    b"List-Unsubscribe: <https://go.northwind.example/u/abc>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nX-Campaign-Id: cam_1\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: text/plain; charset="utf-8"\r\n\r\n'
)
MESSAGE = HEAD + b"Dear  Ann, \t\r\n\r\n here is\tspring.  \r\n\r\n \r\n\r\n"


def collapsed(text):
    out = ""
    for char in text:
        if char in " \t":
            if not out.endswith(" "):
                out += " "
        else:
            out += char
    return out


def relaxed_body(body):
    lines = [collapsed(line).rstrip(" ") for line in body.decode("latin-1").split("\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")


def relaxed_field(field):
    name, value = field.split(":", 1)
    return f"{name.strip().lower()}:{collapsed(value.replace(chr(13) + chr(10), '')).strip(' ')}"


def fields_of(head):
    fields = []
    for line in head.decode("latin-1").split("\r\n"):
        if line[0] in " \t":
            fields[-1] += "\r\n" + line
        else:
            fields.append(line)
    return fields


def verified(message, record):
    """Return the signature's tags, or raise InvalidSignature or AssertionError."""
    head, _, body = message.partition(b"\r\n\r\n")
    signature, *rest = fields_of(head)
    assert signature.startswith("DKIM-Signature:")
    compact = re.sub(r"[ \t\r\n]+", "", signature.partition(":")[2])
    tags = dict(tag.split("=", 1) for tag in compact.split(";") if tag)
    assert tags["v"] == "1" and tags["c"] == "relaxed/relaxed"
    assert base64.b64decode(tags["bh"]) == hashlib.sha256(relaxed_body(body)).digest(), "body"
    below, data = list(rest), ""
    for name in tags["h"].split(":"):
        at = max(
            (i for i, field in enumerate(below) if field and field.split(":")[0].strip().lower() == name.lower()),
            default=None,
        )
        if at is not None:
            data += relaxed_field(below[at]) + "\r\n"
            below[at] = ""
    data += relaxed_field(re.sub(r"b=[^;]*$", "b=", signature))
    check(record, tags, data.encode("latin-1"))
    return tags


def check(record, tags, data):
    published = dict(tag.strip().split("=", 1) for tag in record.split(";"))
    assert published["v"] == "DKIM1" and tags["a"] == f"{published['k']}-sha256"
    public, signature = base64.b64decode(published["p"]), base64.b64decode(tags["b"])
    if published["k"] == "rsa":
        key = serialization.load_der_public_key(public)
        assert isinstance(key, rsa.RSAPublicKey) and key.key_size == 2048
        key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
    else:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, hashlib.sha256(data).digest())


def signed(message=MESSAGE, algorithm=Algorithm.ED25519):
    key, record = KEYS[algorithm]
    return DkimSigner(domain="northwind.example", selector="cs1", key=key).sign(message), record


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_signature_verifies_and_covers_what_it_should(algorithm):
    message, record = signed(algorithm=algorithm)
    assert message.endswith(MESSAGE)
    tags = verified(message, record)
    assert (tags["d"], tags["s"]) == ("northwind.example", "cs1")
    names = tags["h"].split(":")
    assert {"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"} <= set(names)
    assert {"List-Unsubscribe", "List-Unsubscribe-Post"} <= set(names)
    assert [names.count(name) for name in ("From", "To", "Subject", "Date")] == [2, 2, 2, 1]
    assert "Reply-To" not in names and "X-Campaign-Id" not in names
    assert max(len(line) for line in message.split(b"\r\n")) <= 78
    assert b"\n" not in message.replace(b"\r\n", b"")


@pytest.mark.parametrize("algorithm", Algorithm)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"ann@example.org", b"bob@example.org"),
        (b"Subject: Spring", b"Subject: Autumn"),
        (b"u/abc", b"u/xyz"),
        (b"One-Click", b"Two-Click"),
        (b"spring.", b"autumn."),
        (b"\r\nDate:", b"\r\nSubject: another\r\nDate:"),
        (b"\r\nDate:", b"\r\nFrom: evil@x.example\r\nDate:"),
        (b"d=northwind", b"d=southwind"),
    ],
)
def test_what_is_covered_can_not_be_changed(algorithm, old, new):
    message, record = signed(algorithm=algorithm)
    assert old in message
    with pytest.raises((InvalidSignature, AssertionError)):
        verified(message.replace(old, new, 1), record)


def test_what_relays_change_does_no_harm():
    message, record = signed()
    changed = message.replace(b"Spring  is \r\n\there", b"Spring is here").replace(b"\tspring.  \r\n", b" spring.\r\n")
    assert changed != message
    verified(changed + b"\r\n\r\n", record)


@given(st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\xc3\xa9", b"."])).map(b"".join))
def test_any_body_verifies(body):
    message, record = signed(HEAD + body)
    verified(message, record)


def test_each_of_several_fields_is_covered():
    message, record = signed(b"To: a@b.example\r\nto : c@d.example\r\nFrom: x@y.example\r\n\r\n")
    assert verified(message, record)["h"].lower().split(":") == ["from", "from", "to", "to", "to", "subject"]
    with pytest.raises(InvalidSignature):
        verified(message.replace(b"c@d", b"e@d"), record)


def test_the_key_is_kept_and_the_record_made_from_it():
    for algorithm, (key, record) in KEYS.items():
        assert dns_record(key) == record
        assert record.startswith(f"v=DKIM1; k={algorithm}; p=")
        assert b"PRIVATE KEY" in key
    assert new_key(Algorithm.ED25519) != new_key(Algorithm.ED25519)


SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


@pytest.mark.parametrize(
    "change",
    [
        {"domain": "northwind.example\r\nBcc: x"},
        {"domain": ""},
        {"domain": "bücher.example"},
        {"selector": "a;b"},
        {"selector": "-a"},
        {"key": b""},
        {"key": b"no key"},
        {"key": SMALL},
    ],
)
def test_what_can_not_sign_is_refused(change):
    facts = {"domain": "northwind.example", "selector": "cs1", "key": KEYS[Algorithm.ED25519][0]}
    with pytest.raises(Invalid):
        DkimSigner(**(facts | change))
