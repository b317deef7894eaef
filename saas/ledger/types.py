"""Words of the ledger."""

from enum import StrEnum
from typing import Final
from uuid import UUID

from saas.platform.agenda.types import Queue, Work

# Move the people who wait at one step and are due; its subject is `flow_subject`. Armed by whatever wakes them.
FLOW_STEP: Final = Work("flow.step", Queue.MAINTENANCE)
CALL_FILE: Final = Work("call.file", Queue.MAINTENANCE)  # answer the next lines of a file of calls; its id
TELL_GATE: Final = Work("gate.tell", Queue.MAINTENANCE)  # its subject is a gate's id


PASSED_OVER: Final = "passed_over"  # in the facts of a run: somebody chose to skip it when they resumed (R9)


class RunState(StrEnum):
    """One execution of a step."""

    PLANNED = "planned"
    RUNNING = "running"
    HELD = "held"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class ChunkState(StrEnum):
    """Up to 500 people who are handed over together."""

    PENDING = "pending"
    CLAIMED = "claimed"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class WaitStage(StrEnum):
    """Where somebody stands at a step: just come, waiting for a time or a fact, or their message is on its way."""

    ARRIVED = "arrived"
    WAITING = "waiting"
    SENDING = "sending"


class GateState(StrEnum):
    """Whether another system may still speak about the people of a gate."""

    OPEN = "open"
    RELEASED = "released"
    TIMED_OUT = "timed_out"


class Exc(StrEnum):
    """What happened to a person other than "accepted"."""

    SKIPPED = "skipped"
    REJECTED = "rejected"
    RENDER_FAILED = "render_failed"
    FAILED = "failed"
    WAITING = "waiting"
    UNCERTAIN = "uncertain"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Why a person was skipped or failed; shown to people with its sentence."""

    NO_CONSENT = "no_consent"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"
    NO_ADDRESS = "no_address"
    ERASED = "erased"
    CAPPED = "capped"
    QUOTA = "quota"
    TOO_LATE = "too_late"
    SKIPPED_ON_RESUME = "skipped_on_resume"
    QUIET_HOURS = "quiet_hours"
    POISON = "poison"
    REFUSED_BY_RECIPIENT = "refused_by_recipient"
    REFUSED_CONTENT = "refused_content"
    TEMPLATE_FAILED = "template_failed"
    BAD_HEADER = "bad_header"
    TRIES_SPENT = "tries_spent"
    EXPIRED = "expired"
    SENDER_DIED = "sender_died"
    NO_ANSWER = "no_answer"
    DEFERRED = "deferred"
    CHANNEL_DOWN = "channel_down"
    GIVEN_BACK = "given_back"


class ConsentStatus(StrEnum):
    """Whether a person agreed to a topic."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"


def flow_subject(campaign_id: UUID, step_no: int) -> str:
    """Return what stands on the agenda for one step of a campaign."""
    return f"{campaign_id}:{step_no}"


class EventKind(StrEnum):
    """Facts about people that come from outside. A client's own have a kind each (`custom_kind`)."""

    CLICKED = "clicked"
    OPENED = "opened"
    UNSUBSCRIBED = "unsubscribed"


class SuppressionReason(StrEnum):
    """Why an address gets nothing at all."""

    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    ERASED = "erased"
    MANUAL = "manual"


CUSTOM: Final = "custom:"


def custom_kind(name: str) -> str:
    """Return what stands in `event.kind` for a client's own event: the index by person and kind finds it by name."""
    return CUSTOM + name
