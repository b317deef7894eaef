"""The letter of a message step: one function makes it for approvers and for the sender, so that both see the same.

What an approver is shown is read back from the bytes that the sender's code writes. Only one thing differs from what a
person receives: a link's token proves who follows it, so the shown one has the word `preview` where that person's own
58 characters stand (`/c/<token>/…`, `/o/<token>.gif` and `/u/<token>`). Everything else is the same, byte for byte.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Final
from uuid import UUID

from saas.campaigns.rules.document import Document, Message
from saas.channels.types import Purpose
from saas.content.jail.renderer import Renderer
from saas.content.rules.links import track
from saas.content.service.letters import Letter, compile_letter
from saas.content.service.payloads import Payload, compile_payload
from saas.content.types import Addressee, EmailContent, Letterhead, Rendered, RenderFailure, Sender
from saas.kernel.ids import show

PREVIEW: Final = "preview"
_CONTACT: Final = "contact."
_EMAIL: Final = "email"


WEBHOOK: Final = "webhook_message"


def letter_of(renderer: Renderer, document: Document, step: Message, *, campaign_id: UUID) -> Letter | Payload:
    """Return a message step as it is written to any number of people. Raises Unavailable."""
    if step.kind == WEBHOOK:
        return compile_payload(renderer, step.content["body"], workspace_name=document.workspace_name)
    marketing = is_marketing(document)
    sources = EmailContent(**step.content)
    # Transactional messages track nothing (ledger.md, links): secrets in their links never pass our logs.
    content = track(sources).content if marketing else sources
    sender = Sender(step.channel["from_name"], step.channel["from_address"], step.channel["reply_to"] or "")
    letterhead = Letterhead(sender, marketing=marketing, campaign_id=show("cam", campaign_id))
    return compile_letter(renderer, content, letterhead, campaign_name="", workspace_name=document.workspace_name)


def is_marketing(document: Document) -> bool:
    """Say whether consent and an unsubscribe link belong to this document's messages."""
    return Purpose(document.purpose) is Purpose.MARKETING


def fields_of(step: Message) -> list[str]:
    """Return the attributes of a person that a step's texts read, without the address."""
    return fields_of_names(step.used)


def fields_of_names(used: Iterable[str]) -> list[str]:
    """Return the attributes among the names that a template reads, without the address."""
    names = (name.removeprefix(_CONTACT) for name in used if name.startswith(_CONTACT))
    return sorted(name for name in names if name != _EMAIL)


def written(
    letter: Letter | Payload,
    *,
    step: Message,
    to: str,
    values: Mapping[str, object],
    context: Mapping[str, object],
    tracked: bool,
    public_url: str,
    now: datetime,
) -> Rendered | RenderFailure:
    """Return one person's message as their mail program will have it, line ends as they travel (CRLF).

    A webhook's body is its text.

    to: an address fit for the wire; values: what is known of the person, the address included; tracked: whether links
    and opens lead past us.
    """
    known = {name: values[name] for name in fields_of(step) if values.get(name) is not None}
    person = Addressee(
        to=to,
        message_id=f"<{PREVIEW}@{sender_domain(step)}>",
        contact={**known, _EMAIL: values.get(_EMAIL)},
        context=context,
        unsubscribe_url=f"{public_url}/u/{PREVIEW}",
        click_url=f"{public_url}/c/{PREVIEW}" if tracked else "",
        open_url=f"{public_url}/o/{PREVIEW}.gif" if tracked else "",
    )
    (message,) = letter.write([person], date=now)
    if isinstance(message, RenderFailure):
        return message
    return Rendered("", "", message.decode()) if isinstance(letter, Payload) else _read(message)


def sender_domain(step: Message) -> str:
    """Return the domain of a step's sender, nothing for a webhook."""
    return str(step.channel.get("from_address", "")).rpartition("@")[2]


def _read(message: bytes) -> Rendered:
    found = message_from_bytes(message, policy=policy.SMTP)
    return Rendered(str(found["Subject"]), _part(found, "html"), _part(found, "plain"))


def _part(message: "EmailMessage[Any, Any]", kind: str) -> str:
    part = message.get_body((kind,))
    held = part.get_payload(decode=True) if part is not None else b""
    return held.decode() if isinstance(held, bytes) else ""
