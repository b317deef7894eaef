"""Words of the ledger."""

from enum import StrEnum


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


class EventKind(StrEnum):
    """Facts about people that come from outside."""

    CLICKED = "clicked"
    OPENED = "opened"
    UNSUBSCRIBED = "unsubscribed"


class SuppressionReason(StrEnum):
    """Why an address gets nothing at all."""

    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    ERASED = "erased"
    MANUAL = "manual"
