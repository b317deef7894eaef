"""Words of campaigns: two state machines and the work they ask for."""

from enum import StrEnum
from typing import Final

from saas.platform.agenda.types import Queue, Work


class CampaignKind(StrEnum):
    """How a campaign starts (A3): at its date, by calls, or as people come to match (M21)."""

    DATED = "dated"
    API = "api"
    FLOWING = "flowing"


class CampaignState(StrEnum):
    """Is it carried out? (architecture.md 6)."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    PAUSED = "paused"
    HELD = "held"
    STOPPING = "stopping"
    STOPPED = "stopped"
    COMPLETED = "completed"
    ARCHIVED = "archived"


class CampaignMove(StrEnum):
    """What can happen to a campaign."""

    PUBLISH = "publish"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    HOLD = "hold"
    RESCHEDULE = "reschedule"
    STOP = "stop"
    STOPPED = "stopped"
    COMPLETE = "complete"
    EXTEND = "extend"
    ARCHIVE = "archive"
    RESTORE = "restore"


class Tone(StrEnum):
    """The named colours of the design system, in the order of its tokens `cs-cat-1` to `cs-cat-8`."""

    INK = "ink"
    TEAL = "teal"
    AMBER = "amber"
    PLUM = "plum"
    MOSS = "moss"
    VIOLET = "violet"
    RUST = "rust"
    SLATE = "slate"


class CampaignSort(StrEnum):
    """The orders of a list of campaigns."""

    NEWEST = "newest"
    OLDEST = "oldest"
    NAME = "name"
    CHANGED = "changed"


class RevisionState(StrEnum):
    """May it be carried out? (architecture.md 6)."""

    EDITING = "editing"
    IN_REVIEW = "in_review"
    CHANGES_REQUESTED = "changes_requested"
    APPROVED = "approved"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"
    REVOKED = "revoked"


class RevisionMove(StrEnum):
    """What can happen to a revision."""

    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    REQUEST_CHANGES = "request_changes"
    EDIT = "edit"
    APPROVE = "approve"
    REJECT = "reject"
    PUBLISH = "publish"
    SUPERSEDE = "supersede"
    REVOKE = "revoke"


class Decision(StrEnum):
    """What an approver decides. confirm: a held campaign goes on although more or fewer people get it (R13)."""

    APPROVE = "approve"
    REQUEST_CHANGES = "request_changes"
    REJECT = "reject"
    REVOKE = "revoke"
    CONFIRM = "confirm"


class RequestState(StrEnum):
    """What became of a request for approval. void: what was approved has been edited since."""

    OPEN = "open"
    APPROVED = "approved"
    CHANGES_REQUESTED = "changes_requested"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    VOID = "void"
    REVOKED = "revoked"


class PolicyKind(StrEnum):
    """What policies tell apart: how a campaign starts, and what a call's message is for (A3, A5)."""

    DATED = "dated"
    API_MARKETING = "api_marketing"
    API_TRANSACTIONAL = "api_transactional"
    FLOWING = "flowing"


class Order(StrEnum):
    """Whether the stages of an approval wait for each other."""

    AT_ONCE = "at_once"
    SEQUENCE = "sequence"


class Publisher(StrEnum):
    """Who publishes what is approved: the last approval itself, or somebody who may ask for approvals (R13)."""

    APPROVAL = "approval"
    MANAGER = "manager"


class DeadlineOf(StrEnum):
    """What a deadline's hours are counted from."""

    BEFORE_START = "before_start"
    AFTER_REQUEST = "after_request"


class Overdue(StrEnum):
    """What becomes of steps whose time passed while a campaign was paused (R9)."""

    START_NOW = "start_now"
    SKIP = "skip"
    NEW_TIME = "new_time"


class Part(StrEnum):
    """Which part of a held campaign is not what was signed, or who has to decide about it (U1, U16)."""

    PUBLISHED = "published"
    DOCUMENT = "document"
    CHANNEL = "channel"
    APPROVAL = "approval"
    SIGNER = "signer"
    AUDIENCE = "audience"
    RULE = "rule"
    START = "start"
    SEAL = "seal"


START_CAMPAIGN: Final = Work("campaign.start", Queue.MAINTENANCE)
SETTLE_STOP: Final = Work("campaign.stop", Queue.MAINTENANCE)
REMIND_APPROVERS: Final = Work("approval.remind", Queue.MAINTENANCE)  # its subject is a request's id
APPROVAL_LINK: Final = Work("approval.link", Queue.MAINTENANCE)  # its subject is a link's id
