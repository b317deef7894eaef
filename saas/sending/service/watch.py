"""Between two messages: may this one still go? (ledger.md, stop, pause, unsubscribe). And what became of each."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.channels.types import Outcome, OutcomeKind
from saas.kernel import fault
from saas.kernel.clock import monotonic
from saas.ledger.types import Exc, Reason
from saas.platform.db import tenant_session
from saas.sending.service.journal import Slot
from saas.sending.service.owner import Owner
from saas.sending.types import Claimed, Ending, Mark

LOOK_EVERY_S: Final = 0.5
# A refusal bears the time at which its request began; it may have been committed after a claim that is later than that.
_COMMIT_WITHIN: Final = timedelta(seconds=60)
_MARKS: Final = {
    OutcomeKind.ACCEPTED: Mark.ACCEPTED,
    OutcomeKind.REFUSED: Mark.REFUSED,
    OutcomeKind.DEFERRED: Mark.DEFERRED,
    OutcomeKind.UNKNOWN: Mark.OFFERED,
}

# A workspace that was suspended meanwhile stops its senders as a stopped campaign does.
_LOOK: Final = sa.text(
    """
    SELECT c.state FROM campaign c JOIN tenant t ON t.tenant_id = c.tenant_id AND t.state = 'active'
    WHERE c.tenant_id = :tenant AND c.campaign_id = :campaign
    """
)
_OPTED_OUT: Final = sa.text(
    """
    SELECT contact_id, 'unsubscribed' AS reason FROM consent
    WHERE tenant_id = :tenant AND at >= :since AND status = 'withdrawn' AND :marketing AND topic = :topic
    UNION ALL
    SELECT ct.contact_id, 'suppressed' FROM suppression sp JOIN contact ct ON ct.tenant_id = sp.tenant_id
      AND ct.address_hash = sp.address_hash WHERE sp.tenant_id = :tenant AND sp.at >= :since
    UNION ALL
    SELECT contact_id, 'erased' FROM contact
    WHERE tenant_id = :tenant AND contact_id = ANY(:people) AND erased_at IS NOT NULL
    """
)


class ChunkWatch:
    """Watches over one chunk: asks before each message, and notes in the journal what became of it."""

    def __init__(self, claimed: Claimed, *, slot: Slot, owner: Owner, leaving: Callable[[], bool]) -> None:
        self.claimed = claimed
        self.outcomes: dict[int, Outcome] = {}
        self.failed: dict[int, Ending] = {}
        self.answered = 0
        self.down: Outcome | None = None  # why no connection could be made
        self._campaign = str(claimed.campaign_id)
        self._slot = slot
        self._owner = owner
        self._leaving = leaving
        self._next_look = monotonic() + LOOK_EVERY_S
        self._stopped = False
        self._opted_out: dict[UUID, Reason] = {}
        self._silent: set[int] = set(range(len(claimed.people)))

    def may_go_on(self, index: int) -> bool:
        """Say whether message `index` may be offered."""
        del index
        return self.goes_on()

    def goes_on(self) -> bool:
        """Say whether anything may still be offered."""
        if self._is_time():
            self._look()
        return not self._stopped and not self._leaving() and self._owner.alive()

    def may_still_get(self, index: int) -> bool:
        """Say whether a person may still get their message; notes the skip of one who opted out since the claim."""
        if self._is_time():
            self._look()
        person = self.claimed.people[index]
        reason = self._opted_out.get(person.contact_id)
        if reason is None:
            return True
        self.failed[index] = Ending(person.entry_id, Exc.SKIPPED, reason)
        self._slot.mark(index, Mark.SKIPPED)
        return False

    def offered(self, index: int) -> None:
        """Note that a message's content is about to leave."""
        self._slot.mark(index, Mark.OFFERED)
        fault.point("journal.offered")

    def settled(self, index: int, outcome: Outcome) -> None:
        """Note the answer for a message."""
        self.answered += 1
        self._slot.mark(index, _MARKS[outcome.kind])
        fault.point("journal.answered")
        if outcome.kind is OutcomeKind.ACCEPTED:
            self._silent.discard(index)
        else:
            self.outcomes[index] = outcome

    def fail(self, index: int, exc: Exc, reason: Reason) -> None:
        """Note that a person's message could not be made."""
        self.failed[index] = Ending(self.claimed.people[index].entry_id, exc, reason)

    def unaccepted(self) -> list[int]:
        """Return the indexes of everybody who was not accepted."""
        return sorted(self._silent)

    def was_offered(self, index: int) -> bool:
        """Say whether a message's content may have left."""
        return self._slot.marked(index) == Mark.OFFERED

    def _is_time(self) -> bool:
        return monotonic() >= self._next_look or self._owner.take_flag(self._campaign)

    def _look(self) -> None:
        self._next_look = monotonic() + LOOK_EVERY_S
        with tenant_session(self._owner.engine, self.claimed.tenant_id) as session:
            self._stopped = self._stopped or not self._is_active(session)
            rows = session.execute(
                _OPTED_OUT,
                {
                    "tenant": self.claimed.tenant_id,
                    "since": self.claimed.claimed_at - _COMMIT_WITHIN,
                    "marketing": self.claimed.marketing,
                    "topic": self.claimed.topic,
                    "people": [person.contact_id for person in self.claimed.people],
                },
            )
            self._opted_out = {row.contact_id: Reason(row.reason) for row in rows}

    def _is_active(self, session: Session) -> bool:
        found = session.scalar(_LOOK, {"tenant": self.claimed.tenant_id, "campaign": self.claimed.campaign_id})
        return bool(found == "active")
