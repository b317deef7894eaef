"""Between two messages: may this one still go? (ledger.md, stop, pause, unsubscribe)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.channels.types import Outcome, OutcomeKind
from saas.kernel.clock import monotonic
from saas.ledger.types import Exc, Reason
from saas.platform.db import tenant_session
from saas.sending.rules.endings import ending_of, given_back
from saas.sending.service.owner import Owner
from saas.sending.types import Claimed, Ending

LOOK_EVERY_S: Final = 0.5
# A refusal bears the time at which its request began; it may have been committed after a claim that is later than that.
_COMMIT_WITHIN: Final = timedelta(seconds=60)

_LOOK: Final = sa.text("SELECT state FROM campaign WHERE tenant_id = :tenant AND campaign_id = :campaign")
_OPTED_OUT: Final = sa.text(
    """
    SELECT contact_id FROM consent WHERE tenant_id = :tenant AND at >= :since AND status = 'withdrawn'
      AND :marketing AND topic = :topic
    UNION ALL
    SELECT ct.contact_id FROM suppression sp JOIN contact ct ON ct.tenant_id = sp.tenant_id
      AND ct.address_hash = sp.address_hash WHERE sp.tenant_id = :tenant AND sp.at >= :since
    UNION ALL
    SELECT contact_id FROM contact WHERE tenant_id = :tenant AND contact_id = ANY(:people) AND erased_at IS NOT NULL
    """
)


class ChunkWatch:
    """Watches over one chunk: asks before each message, and remembers what became of it."""

    def __init__(self, claimed: Claimed, *, owner: Owner, leaving: Callable[[], bool]) -> None:
        self._claimed = claimed
        self._owner = owner
        self._leaving = leaving
        self._next_look = monotonic() + LOOK_EVERY_S
        self._stopped = False
        self._opted_out: frozenset[UUID] = frozenset()
        self._offered: set[int] = set()
        self._outcomes: dict[int, Outcome] = {}
        self._failed: dict[int, Ending] = {}
        self._rest_in_s = 0.0

    def may_go_on(self, index: int) -> bool:
        """Say whether message `index` may be offered."""
        del index
        self._look()
        return not self._stopped and not self._leaving() and self._owner.alive()

    def may_still_get(self, index: int) -> bool:
        """Say whether a person may still get their message; notes the skip of one who opted out since the claim."""
        self._look()
        person = self._claimed.people[index]
        if person.contact_id not in self._opted_out:
            return True
        self._failed[index] = Ending(person.entry_id, Exc.SKIPPED, Reason.UNSUBSCRIBED)
        return False

    def offered(self, index: int) -> None:
        """Note that a message's content is about to leave."""
        self._offered.add(index)

    def settled(self, index: int, outcome: Outcome) -> None:
        """Note the answer for a message."""
        self._outcomes[index] = outcome

    def failed(self, index: int, exc: Exc, reason: Reason) -> None:
        """Note that a person's message could not be made."""
        self._failed[index] = Ending(self._claimed.people[index].entry_id, exc, reason)

    def broken(self, *, again_in_s: float) -> None:
        """Note that the chunk cannot be handed over now: whoever was not offered is tried again later, not at once."""
        self._rest_in_s = again_in_s

    def endings(self, chance: Callable[[], float]) -> list[Ending]:
        """Return how everybody's turn ended who was not accepted."""
        found = (self._ending(index, chance) for index in range(len(self._claimed.people)))
        return [ending for ending in found if ending is not None]

    def _ending(self, index: int, chance: Callable[[], float]) -> Ending | None:
        person = self._claimed.people[index]
        if index in self._failed:
            return self._failed[index]
        outcome = self._outcomes.get(index)
        if outcome is None and index in self._offered:
            outcome = Outcome(OutcomeKind.UNKNOWN)
        if outcome is None:
            return given_back(person.entry_id, again_in_s=self._rest_in_s)
        return ending_of(
            person.entry_id, outcome, attempt=person.attempt, marketing=self._claimed.marketing, chance=chance
        )

    def _look(self) -> None:
        if monotonic() < self._next_look and not self._owner.take_flag(self._claimed.campaign_id):
            return
        self._next_look = monotonic() + LOOK_EVERY_S
        with tenant_session(self._owner.engine, self._claimed.tenant_id) as session:
            self._stopped = self._stopped or not self._is_active(session)
            self._opted_out = frozenset(
                session.scalars(
                    _OPTED_OUT,
                    {
                        "tenant": self._claimed.tenant_id,
                        "since": self._claimed.claimed_at - _COMMIT_WITHIN,
                        "marketing": self._claimed.marketing,
                        "topic": self._claimed.topic,
                        "people": [person.contact_id for person in self._claimed.people],
                    },
                )
            )

    def _is_active(self, session: Session) -> bool:
        found = session.scalar(_LOOK, {"tenant": self._claimed.tenant_id, "campaign": self._claimed.campaign_id})
        return bool(found == "active")
