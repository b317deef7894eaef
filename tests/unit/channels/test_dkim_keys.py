"""Keys that sign mails: what is made, what is published, for which domain."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)

from saas.channels.adapters.smtp import dkim
from saas.channels.types import DkimAlgorithm, DkimKey
from saas.kernel.errors import Invalid

FROM = "club@news.northwind.example"


def tags(record):
    return dict(part.strip().split("=", 1) for part in record.split(";"))


def test_an_rsa_key_is_published_as_rfc_6376_wants_it():
    private, record = dkim.new_key(DkimAlgorithm.RSA_2048)
    key, published = load_pem_private_key(private, None), tags(record)
    assert isinstance(key, rsa.RSAPrivateKey) and key.key_size == 2048
    assert (published["v"], published["k"]) == ("DKIM1", "rsa") and record.startswith("v=DKIM1;")
    assert load_der_public_key(base64.b64decode(published["p"])) == key.public_key()
    assert dkim.algorithm_of(record) is DkimAlgorithm.RSA_2048


def test_an_ed25519_key_is_published_as_rfc_8463_wants_it():
    private, record = dkim.new_key(DkimAlgorithm.ED25519)
    key, published = load_pem_private_key(private, None), tags(record)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    assert base64.b64decode(published["p"]) == key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert published["k"] == "ed25519" and len(record) < 255
    assert dkim.algorithm_of(record) is DkimAlgorithm.ED25519


def test_no_two_keys_are_the_same_and_none_stands_in_a_repr():
    first, second = (dkim.new_key(DkimAlgorithm.ED25519)[0] for _ in range(2))
    assert first != second
    assert "PRIVATE" not in repr(DkimKey("northwind.example", "csn1", first))


@pytest.mark.parametrize(
    ("domain", "selector", "expected"),
    [
        ("news.northwind.example", "csn1", ("news.northwind.example", "csn1")),
        (" Northwind.Example. ", " CSN1 ", ("northwind.example", "csn1")),
        ("northwind.example", "2026.csn-1", ("northwind.example", "2026.csn-1")),
    ],
)
def test_the_domain_is_that_of_the_sender_or_above_it(domain, selector, expected):
    assert dkim.checked(domain=domain, selector=selector, from_address=FROM) == expected


@pytest.mark.parametrize(
    ("domain", "selector", "wrong"),
    [
        ("example", "csn1", ["/domain"]),
        ("example.org", "csn1", ["/domain"]),
        ("wind.example", "csn1", ["/domain"]),
        ("a.news.northwind.example", "csn1", ["/domain"]),
        ("", "csn1", ["/domain"]),
        ("north wind.example", "csn1", ["/domain"]),
        ("xn--\u0308.example", "csn1", ["/domain"]),
        ("northwind.example", "", ["/selector"]),
        ("northwind.example", "a;b", ["/selector"]),
        ("northwind.example", "-a", ["/selector"]),
        ("northwind.example", "a..b", ["/selector"]),
        ("northwind.example", "a" * 64, ["/selector"]),
        ("northwind.example", ".".join(["a" * 60] * 4), ["/selector"]),
        ("example.org", "a b", ["/domain", "/selector"]),
    ],
)
def test_everything_wrong_is_said_at_once(domain, selector, wrong):
    with pytest.raises(Invalid) as refused:
        dkim.checked(domain=domain, selector=selector, from_address=FROM)
    assert [fault.pointer for fault in refused.value.faults] == wrong


def test_a_domain_with_other_letters_stands_in_its_ascii_form():
    address = "news@xn--bcher-kva.example"
    assert dkim.checked(domain="Bücher.example", selector="a", from_address=address)[0] == "xn--bcher-kva.example"
    assert dkim.dns_name("northwind.example", "csn1") == "csn1._domainkey.northwind.example"
