"""Why somebody did not get a message, in words that people without the code understand (U5)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "no_consent": "never agreed to this topic",
        "unsubscribed": "has withdrawn the consent to this topic",
        "suppressed": "the address is on the suppression list",
        "no_address": "has no address for this channel",
        "erased": "was erased on their own demand",
        "capped": "had got as many messages as the frequency cap allows",
        "quota": "the workspace had used up its messages of the month",
        "quiet_hours": "it would have left in quiet hours or outside of the send window",
        "skipped_on_resume": "its time had passed, and whoever resumed the campaign chose to skip it",
        "too_late": "the latest useful time of the step had passed",
        "poison": "senders ended again and again over this message",
        "refused_by_recipient": "the receiving side refused the address",
        "refused_content": "the receiving side refused the message",
        "template_failed": "the template could not be filled for this person",
        "bad_header": "a header of the message could not be written",
        "tries_spent": "every try was put off by the receiving side",
        "expired": "the receiving side put it off for too long",
        "sender_died": "the sender ended while it was handed over; nobody knows whether it arrived",
        "no_answer": "the receiving side took it and did not answer",
        "deferred": "put off by the receiving side; it is tried again",
        "channel_down": "the channel could not be reached; it is tried again",
        "given_back": "given back before it was offered; it is tried again",
    }
)
ENDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "finished": "the way was over",
        "missed_step": "came to a step with a date after that had begun",
        "step_removed": "a new revision took the step away at which they stood",
        "left": "matched the audience no more",
        "stopped": "another campaign ended this way",
    }
)


def reason_in_words(reason: str | None, *, otherwise: str = "") -> str:
    """Return the sentence of a reason; one that is not known here is shown as it is."""
    return REASONS.get(reason or "", reason or otherwise)


def end_in_words(reason: str | None) -> str:
    """Return why an entry has ended."""
    return ENDS.get(reason or "", reason or "")
