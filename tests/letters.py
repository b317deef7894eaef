"""One finished message as bytes for the wire: a letter to a single person, without holes."""

from dataclasses import dataclass
from datetime import datetime

from saas.content.rules import quoted
from saas.content.rules.skeleton import Skeleton, subject_line
from saas.content.rules.words import Fill, Words
from saas.content.types import Letterhead, Plan, Rendered, Sender


@dataclass(frozen=True, slots=True)
class Addressing:
    """All of one message's header facts but the subject.

    `unsubscribe_url` is the RFC 8058 one-click address (marketing only, else empty); `list_id` the bare identifier of
    RFC 2919; `headers` are a channel's own additional ones.
    """

    sender: Sender
    to: str
    message_id: str
    date: datetime
    unsubscribe_url: str = ""
    list_id: str = ""
    campaign_id: str = ""
    feedback_id: str = ""
    headers: tuple[tuple[str, str], ...] = ()


def build(rendered: Rendered, addressing: Addressing) -> bytes:
    """Return the message. Raises BadHeader when a value may not stand in its header."""
    letterhead = Letterhead(
        sender=addressing.sender,
        marketing=bool(addressing.unsubscribe_url),
        list_id=addressing.list_id,
        campaign_id=addressing.campaign_id,
        feedback_id=addressing.feedback_id,
        headers=addressing.headers,
    )
    text, html = (quoted.line_ends(part) for part in (rendered.text, rendered.html))
    words = Words({"subject": Plan(("",)), "text": Plan((text,)), "html": Plan((html,))})
    skeleton = Skeleton(letterhead, text=[text], html=[html])
    head = skeleton.headers(
        to=addressing.to,
        subject=subject_line(rendered.subject),
        message_id=addressing.message_id,
        unsubscribe_url=addressing.unsubscribe_url,
    )
    pieces = skeleton.pieces(addressing.date)
    pieces[1::2] = [head, *skeleton.gaps(words, Fill([], {}))]
    return b"".join(pieces)
