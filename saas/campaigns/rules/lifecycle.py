"""The two state machines of architecture.md 6. Buttons, 409 answers and the pictures in docs come from these tables."""

from typing import Any, Final

from saas.campaigns.types import CampaignMove as C
from saas.campaigns.types import CampaignState as S
from saas.campaigns.types import RevisionMove as R
from saas.campaigns.types import RevisionState as V
from saas.kernel.errors import Conflict
from saas.kernel.transitions import TransitionTable

CAMPAIGN: Final = TransitionTable(
    {
        (S.DRAFT, C.PUBLISH): S.SCHEDULED,
        (S.SCHEDULED, C.PUBLISH): S.SCHEDULED,
        (S.SCHEDULED, C.START): S.ACTIVE,
        (S.ACTIVE, C.PAUSE): S.PAUSED,
        (S.PAUSED, C.RESUME): S.ACTIVE,
        (S.ACTIVE, C.COMPLETE): S.COMPLETED,
        (S.COMPLETED, C.EXTEND): S.ACTIVE,
        (S.SCHEDULED, C.HOLD): S.HELD,
        (S.ACTIVE, C.HOLD): S.HELD,
        (S.HELD, C.RESCHEDULE): S.SCHEDULED,
        (S.HELD, C.RESUME): S.ACTIVE,
        (S.SCHEDULED, C.STOP): S.STOPPING,
        (S.ACTIVE, C.STOP): S.STOPPING,
        (S.PAUSED, C.STOP): S.STOPPING,
        (S.HELD, C.STOP): S.STOPPING,
        (S.STOPPING, C.STOPPED): S.STOPPED,
        (S.STOPPED, C.ARCHIVE): S.ARCHIVED,
        (S.COMPLETED, C.ARCHIVE): S.ARCHIVED,
        (S.DRAFT, C.ARCHIVE): S.ARCHIVED,
    },
    # What was put away comes back as it was. Nothing is sent in any of these states, so bringing back sends nothing.
    back={(S.ARCHIVED, C.RESTORE): (S.DRAFT, S.STOPPED, S.COMPLETED)},
)

REVISION: Final = TransitionTable(
    {
        (V.EDITING, R.SUBMIT): V.IN_REVIEW,
        (V.IN_REVIEW, R.APPROVE): V.APPROVED,
        (V.IN_REVIEW, R.REQUEST_CHANGES): V.CHANGES_REQUESTED,
        (V.IN_REVIEW, R.REJECT): V.REJECTED,
        (V.IN_REVIEW, R.WITHDRAW): V.EDITING,
        (V.CHANGES_REQUESTED, R.EDIT): V.EDITING,
        (V.APPROVED, R.PUBLISH): V.PUBLISHED,
        (V.APPROVED, R.EDIT): V.EDITING,
        (V.APPROVED, R.REVOKE): V.REVOKED,
        (V.PUBLISHED, R.REVOKE): V.REVOKED,
        (V.PUBLISHED, R.SUPERSEDE): V.SUPERSEDED,
    }
)

# Moves that people ask for; the others follow from events.
ASKED_OF_CAMPAIGN: Final = (C.PAUSE, C.RESUME, C.STOP, C.ARCHIVE, C.RESTORE)
ASKED_OF_REVISION: Final = (
    R.SUBMIT, R.WITHDRAW, R.APPROVE, R.REQUEST_CHANGES, R.REJECT, R.PUBLISH, R.REVOKE,
)  # fmt: skip
FINAL: Final = frozenset({S.STOPPED, S.COMPLETED, S.ARCHIVED})
# States in which nothing about a campaign can be edited, asked for or signed any more.
CLOSED: Final = FINAL | {S.STOPPING}
# States in which a claim may take people (ledger.md, claim).
SENDING: Final = frozenset({S.ACTIVE})
# M12, publication information: published, and neither paused, held, stopping nor over.
PUBLISHED: Final = frozenset({S.SCHEDULED, S.ACTIVE})


class NotAllowed(Conflict):
    """The move is not lawful from the present state; `allowed_transitions` lists what is."""

    code = "not_allowed_in_this_state"


class AlreadyStarted(Conflict):
    """Every step of a campaign with dates has begun; each runs to its end by the revision that began it (S60)."""

    code = "already_started"


def campaign_after(state: S, move: C) -> S:
    """Return a campaign's next state. Raises NotAllowed."""
    after = CAMPAIGN.after(state, move)
    if after is None:
        raise _not_allowed("campaign", state.value, move.value, [m.value for m in campaign_moves(state)])
    return after


def campaign_before(state: S, move: C, kept: S | None) -> S:
    """Return the state that a campaign comes back to, which is the one it kept. Raises NotAllowed."""
    before = CAMPAIGN.returned(state, move, kept)
    if before is None:
        raise _not_allowed("campaign", state.value, move.value, [m.value for m in campaign_moves(state)])
    return before


def is_active(state: S) -> bool:
    """Say whether a campaign is active in the words of M12: what it was published for happens, or is going to."""
    return state in PUBLISHED


def revision_after(state: V, move: R) -> V:
    """Return a revision's next state. Raises NotAllowed."""
    after = REVISION.after(state, move)
    if after is None:
        raise _not_allowed("revision", state.value, move.value, [m.value for m in revision_moves(state)])
    return after


def check_may_change(state: S, *, dated: bool, all_begun: bool) -> None:
    """Refuse to edit, submit or publish what could never take effect. Raises NotAllowed, AlreadyStarted."""
    if state in CLOSED and not (dated and state is S.COMPLETED):  # what has come to its end can be extended (R11)
        allowed = [m.value for m in campaign_moves(state)]
        raise NotAllowed(
            f"This campaign is {state.value}; its content cannot be changed any more.",
            state=state.value,
            allowed_transitions=allowed,
        )
    if all_begun and state is not S.COMPLETED:
        raise AlreadyStarted("Every step has begun. When all of it is done it can be extended; or stop it now.")


def campaign_moves(state: S) -> tuple[C, ...]:
    """Return the moves that people may ask of a campaign in this state."""
    return tuple(m for m in CAMPAIGN.moves(state) if m in ASKED_OF_CAMPAIGN)


def revision_moves(state: V) -> tuple[R, ...]:
    """Return the moves that people may ask of a revision in this state."""
    return tuple(m for m in REVISION.moves(state) if m in ASKED_OF_REVISION)


def _not_allowed(what: str, state: str, move: str, allowed: list[str]) -> NotAllowed:
    words: dict[str, Any] = {"state": state, "allowed_transitions": allowed}
    may = f" Possible now: {', '.join(allowed)}." if allowed else " Nothing can be done with it any more."
    return NotAllowed(f"This {what} is {state}; {move} is not possible.{may}", **words)
