"""One finished message as bytes for the wire: a letter (skeleton.py) to a single person, without holes."""

from saas.content.rules import quoted
from saas.content.rules.skeleton import Skeleton, subject_line
from saas.content.rules.words import Fill, Words
from saas.content.types import Addressing, Letterhead, Plan, Rendered


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
        to_name=addressing.to_name,
        subject=subject_line(rendered.subject),
        message_id=addressing.message_id,
        unsubscribe_url=addressing.unsubscribe_url,
    )
    pieces = skeleton.pieces(addressing.date)
    pieces[1::2] = [head, *skeleton.gaps(words, Fill([], {}))]
    return b"".join(pieces)
