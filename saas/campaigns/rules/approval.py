"""Whether a decision counts (R13). Pure: the same facts give the same answer, now and in a replay."""

from collections.abc import Set as AbstractSet
from uuid import UUID

from saas.kernel.errors import Conflict, Invalid


class ApproverEdited(Conflict):
    """Four eyes: who edited since the last approved revision does not count, administrators included."""

    code = "approver_edited"


class ChangedSinceYouLooked(Conflict):
    """The hash that was shown is not the one that stands there now."""

    code = "changed_since_you_looked"


def check_hash(seen: str, present: str | None) -> None:
    """Refuse a decision about something else than what stands there. Raises ChangedSinceYouLooked."""
    if seen != present:
        raise ChangedSinceYouLooked(
            "This changed since you looked. Look again before you decide.", content_hash=present
        )


def check_four_eyes(approver: UUID | None, editors: AbstractSet[UUID]) -> None:
    """Refuse an approver who edited, in person or by a key they made. Raises ApproverEdited."""
    if approver is None or approver in editors:
        raise ApproverEdited("You edited this since it was last approved; somebody else must approve it.")


def check_comment(comment: str) -> str:
    """Return the comment that a refusal needs. Raises Invalid."""
    text = comment.strip()
    if not text:
        raise Invalid.at("/comment", "Say what should change.")
    return text
