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


class ApproverNotAsked(Conflict):
    """The policy asks others for this approval, or others first; `missing` says whom."""

    code = "approver_not_asked"


class AlreadySigned(Conflict):
    """This person's signature is there already; one person signs once."""

    code = "already_signed"


class ApprovalLapsed(Conflict):
    """What was signed counts no longer: a signer lost the right, or there is no request to answer any more."""

    code = "approval_lapsed"


class ChannelChanged(Conflict):
    """The channel configuration is not the one that stands in the document; nobody signs what cannot leave (U16)."""

    code = "channel_changed"


class NobodyToAsk(Invalid):
    """The policy asks for signatures that nobody could give; `errors` names what is missing (U3)."""

    code = "approval_impossible"


class NothingToConfirm(Conflict):
    """The campaign is not held for something that a person may decide to send anyway (R13)."""

    code = "nothing_to_confirm"


class ApproverDecides(Conflict):
    """The campaign is held until somebody who may approve has decided (R13)."""

    code = "approver_decides"


class NotHere(Invalid):
    """Somebody is named who has no business in this workspace or project."""

    code = "not_a_member"


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
