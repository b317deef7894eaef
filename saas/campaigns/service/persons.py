"""Sample people as templates and readers see them: as they are, or with their texts masked (R14)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from saas.campaigns.rules.document import Document
from saas.campaigns.rules.samples import LANGUAGE, Condition, Facet, conditions, holds
from saas.channels.rules import wire_address
from saas.ledger.models import Contact

MASKED: Final = "•••"
NOBODY: Final = "person@example.org"  # to whom a message is addressed that is shown with masked or invented values


@dataclass(frozen=True, slots=True)
class Person:
    """A sample person; `to` is fit for the wire."""

    contact_id: UUID | None
    to: str
    values: Mapping[str, object]
    label: str
    why: Sequence[Facet]

    @property
    def email(self) -> str:
        """Return the address as it is shown."""
        return str(self.values["email"])


EXAMPLE: Final = Person(None, NOBODY, {"email": NOBODY}, "Example", ())


def seen(contact: Contact, why: Sequence[Facet]) -> Person:
    """Return a person as they are."""
    email = contact.email or ""
    values = {**contact.attributes, "email": email}
    return Person(contact.contact_id, wire_address(email) or NOBODY, values, label_of(contact), why)


def veiled(contact: Contact, why: Sequence[Facet], document: Document) -> Person:
    """Return a person with their texts masked; languages and numbers stay, so that messages still differ."""
    asked = [one for step in document.messages for source in step.content.values() for one in conditions(source)]
    values = {key: _masked(key, value, asked) for key, value in contact.attributes.items()}
    email = mask(contact.email or "")
    return Person(contact.contact_id, NOBODY, {**values, "email": email}, MASKED, why)


def label_of(contact: Contact) -> str:
    """Return a person's name as reviews show it, with their language."""
    names = [contact.attributes.get("first_name"), contact.attributes.get("last_name")]
    shown = " ".join(str(name) for name in names if name)[:60] or "No name"
    language = contact.attributes.get("language")
    return f"{shown} · {language}" if language else shown


def mask(email: str) -> str:
    """Return an address that tells its domain and one letter."""
    return f"{email[:1]}{MASKED}@{email.rpartition('@')[2]}" if email else ""


def _masked(key: str, value: object, asked: Sequence[Condition]) -> object:
    """Hide a text; one that a condition asks for stays what the template itself says, so that the branch is shown."""
    if not isinstance(value, str) or key == LANGUAGE:
        return value
    same = (one.value for one in asked if one.attribute == key and isinstance(one.value, str) and holds(one, value))
    return next(same, MASKED if value.strip() else value)
