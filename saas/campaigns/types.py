"""Words of campaigns: two state machines and the work they ask for."""

from enum import StrEnum
from typing import Final

from saas.platform.agenda.types import Queue, Work


class CampaignKind(StrEnum):
    """How a campaign starts (A3)."""

    DATED = "dated"
    API = "api"


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
    """What an approver decides."""

    APPROVE = "approve"
    REQUEST_CHANGES = "request_changes"
    REJECT = "reject"
    REVOKE = "revoke"


START_CAMPAIGN: Final = Work("campaign.start", Queue.MAINTENANCE)
SETTLE_STOP: Final = Work("campaign.stop", Queue.MAINTENANCE)
