"""Keys with which a channel's mails are signed: made here, published by people in their DNS (RFC 6376, RFC 8463)."""

import base64

import idna
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from saas.channels.rules import MAX_DNS_NAME, is_dns_name
from saas.channels.types import DkimAlgorithm
from saas.kernel.errors import Fault, Invalid


def new_key(algorithm: DkimAlgorithm) -> tuple[bytes, str]:
    """Return a new private key (PKCS 8, PEM) and the text of the TXT record that publishes its public half."""
    if algorithm is DkimAlgorithm.ED25519:
        edwards = Ed25519PrivateKey.generate()
        pem = edwards.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return pem, _record("ed25519", edwards.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    rsa = generate_private_key(public_exponent=65537, key_size=2048)
    pem = rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem, _record("rsa", rsa.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _record(kind: str, public: bytes) -> str:
    return f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode()}"


def algorithm_of(record: str) -> DkimAlgorithm:
    """Return the kind of key that a record publishes."""
    return DkimAlgorithm.ED25519 if "k=ed25519;" in record else DkimAlgorithm.RSA_2048


def dns_name(domain: str, selector: str) -> str:
    """Return where receivers look for the record."""
    return f"{selector}._domainkey.{domain}"


def checked(*, domain: str, selector: str, from_address: str) -> tuple[str, str]:
    """Return domain and selector in their one spelling. Raises Invalid with all that is wrong.

    The domain is that of the from address or one above it: receivers ask for this alignment (RFC 7489, 3.1.1).
    """
    faults: list[Fault] = []
    domain, selector = _ascii(domain), selector.strip().lower()
    if not is_dns_name(domain) or "." not in domain:
        faults.append(Fault("/domain", "Not a domain as in northwind.example."))
    elif not aligned(domain, from_address):
        known = from_address.rpartition("@")[2]
        faults.append(Fault("/domain", f"Mails come from {known}: use this domain, or one above it."))
    if not is_dns_name(selector):
        faults.append(Fault("/selector", "Use small letters, digits and -, as in csn1."))
    elif len(dns_name(domain, selector)) > MAX_DNS_NAME:
        faults.append(Fault("/selector", "Too long: the name of the record would be longer than DNS allows."))
    if faults:
        raise Invalid("Some values cannot be used; see errors.", faults=faults)
    return domain, selector


def aligned(domain: str, from_address: str) -> bool:
    """Say whether a domain may sign for an address: it is the address's own, or one above it."""
    own = from_address.rpartition("@")[2].lower()
    return own == domain or own.endswith(f".{domain}")


def _ascii(text: str) -> str:
    name = text.strip().lower().removesuffix(".")
    try:
        return name if name.isascii() else idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        return ""
