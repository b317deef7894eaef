"""Words and facts of campaign pages: states, reasons, what was done, which moves a person has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask_babel import gettext, ngettext

from saas.campaigns.desk.models import Category
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.lifecycle import FINAL, campaign_moves, revision_moves
from saas.campaigns.types import CampaignKind, CampaignMove, CampaignState, RevisionMove, RevisionState, Tone
from saas.ledger.queries.numbers import Numbers
from saas.permissions.types import Action, Actor
from saas.web import words

LIVE: Final = frozenset({CampaignState.ACTIVE, CampaignState.STOPPING})
EDITABLE: Final = frozenset({RevisionState.EDITING, RevisionState.CHANGES_REQUESTED, RevisionState.APPROVED})
OPEN: Final = EDITABLE | {RevisionState.IN_REVIEW}
OVER: Final = FINAL | {CampaignState.STOPPING}
_RIGHTS: Final[Mapping[str, Action]] = {
    CampaignMove.PAUSE: Action.CAMPAIGN_CONTROL,
    CampaignMove.RESUME: Action.CAMPAIGN_CONTROL,
    CampaignMove.STOP: Action.CAMPAIGN_CONTROL,
    CampaignMove.ARCHIVE: Action.CAMPAIGN_WRITE,
    CampaignMove.RESTORE: Action.CAMPAIGN_WRITE,
    RevisionMove.SUBMIT: Action.CAMPAIGN_SUBMIT,
    RevisionMove.WITHDRAW: Action.CAMPAIGN_SUBMIT,
    RevisionMove.APPROVE: Action.CAMPAIGN_APPROVE,
    RevisionMove.REQUEST_CHANGES: Action.CAMPAIGN_APPROVE,
    RevisionMove.REJECT: Action.CAMPAIGN_APPROVE,
    RevisionMove.REVOKE: Action.CAMPAIGN_APPROVE,
    RevisionMove.PUBLISH: Action.CAMPAIGN_PUBLISH,
}
# Order, state, colour; together they are all of the planned people.
STATES: Final = (
    ("accepted", "st-done"),
    ("skipped", "st-neutral"),
    ("failed", "st-failed"),
    ("cancelled", "st-paused"),
    ("uncertain", "st-unknown"),
    ("open", "st-scheduled"),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A category as pages mark it."""

    name: str
    letter: str
    colour: str
    archived: bool


@dataclass(frozen=True, slots=True)
class Moves:
    """What the state allows: what this person may do of it, and what others may."""

    own: frozenset[str]
    others: Mapping[str, Action]


def moves(actor: Actor, campaign: Campaign, revision: Revision) -> Moves:
    """Return the moves that the states allow, split by the actor's rights."""
    of_campaign = campaign_moves(CampaignState(campaign.state))
    lawful = [move.value for move in (*of_campaign, *revision_moves(RevisionState(revision.state)))]
    own = frozenset(move for move in lawful if actor.may(_RIGHTS[move], campaign.project_id))
    return Moves(own, {move: _RIGHTS[move] for move in lawful if move not in own})


def with_publish(found: Moves, *, may: bool) -> Moves:
    """Return the moves of somebody whom the revision's policy lets publish, whatever their role."""
    publish = RevisionMove.PUBLISH.value
    if not may or publish not in found.others:
        return found
    return Moves(found.own | {publish}, {move: right for move, right in found.others.items() if move != publish})


def revision_badge(campaign: Campaign, revision: Revision) -> str | None:
    """Return the word of the second badge: where the newest revision stands, when the campaign's own does not say."""
    state = RevisionState(revision.state)
    if campaign.state == CampaignState.ARCHIVED:
        return None
    changing = CampaignState(campaign.state) is not CampaignState.DRAFT
    texts = {
        RevisionState.EDITING: gettext("Change being edited") if changing else None,
        RevisionState.IN_REVIEW: gettext("Change in review") if changing else gettext("In review"),
        RevisionState.CHANGES_REQUESTED: gettext("Changes requested"),
        RevisionState.APPROVED: gettext("Approved, not published"),
        RevisionState.REJECTED: gettext("Change rejected") if changing else gettext("Rejected"),
        RevisionState.REVOKED: gettext("Approval revoked"),
    }
    return texts.get(state)


def kind_word(kind: CampaignKind) -> str:
    """Return how campaigns of a kind start, in a word or two."""
    texts = {
        CampaignKind.DATED: gettext("Dated"),
        CampaignKind.API: gettext("On call"),
        CampaignKind.FLOWING: gettext("Flowing"),
    }
    return str(texts.get(kind, kind.value.capitalize()))


def tone_word(tone: str) -> str:
    """Return the name of a colour."""
    texts = {
        Tone.INK: gettext("Ink"),
        Tone.TEAL: gettext("Teal"),
        Tone.AMBER: gettext("Amber"),
        Tone.PLUM: gettext("Plum"),
        Tone.MOSS: gettext("Moss"),
        Tone.VIOLET: gettext("Violet"),
        Tone.RUST: gettext("Rust"),
        Tone.SLATE: gettext("Slate"),
    }
    return str(texts[Tone(tone)])


def category_mark(row: Category | None) -> Mark | None:
    """Return a category as pages mark it: its first letter on its colour, and its name."""
    if row is None:
        return None
    return Mark(row.name, row.name[:1].upper(), f"c{list(Tone).index(Tone(row.tone)) + 1}", row.archived_at is not None)


def place_word(pointer: str) -> str:
    """Return a place of a draft as people call it."""
    parts = pointer.strip("/").split("/")
    texts = {
        "audience_id": gettext("audience"),
        "list_id": gettext("list"),
        "channel_id": gettext("channel configuration"),
        "campaign_id": gettext("campaign"),
    }
    what = str(texts.get(parts[-1], parts[-1]))
    if parts[0] == "steps" and len(parts) > 1 and parts[1].isdecimal():
        return str(gettext("step %(no)s, %(what)s", no=int(parts[1]) + 1, what=what))
    return what


def reason_word(reason: str) -> str:
    """Return why somebody was skipped, failed or is uncertain, as a sentence."""
    texts = {
        "no_consent": gettext("Never agreed to this topic"),
        "unsubscribed": gettext("Unsubscribed from this topic"),
        "suppressed": gettext("Address is on the suppression list"),
        "no_address": gettext("Has no email address"),
        "erased": gettext("Was erased on request"),
        "capped": gettext("Had enough messages lately"),
        "quiet_hours": gettext("Would have left when nothing may leave"),
        "too_late": gettext("The latest useful time of the step had passed"),
        "skipped_on_resume": gettext("Its time had passed; whoever resumed the campaign chose to skip it"),
        "quota": gettext("The workspace's messages of this month are used up"),
        "poison": gettext("The sender ended twice over this one message"),
        "refused_by_recipient": gettext("The receiving server refused this recipient"),
        "refused_content": gettext("The receiving server refused the message"),
        "template_failed": gettext("The message could not be made for this person"),
        "bad_header": gettext("A value of this person cannot stand in a mail header"),
        "tries_spent": gettext("Every try failed"),
        "expired": gettext("Could not be sent in time"),
        "sender_died": gettext("The sender ended between sending and writing it down"),
        "no_answer": gettext("The connection broke after the message was handed over"),
        "deferred": gettext("The receiving server asked to try later"),
        "channel_down": gettext("The server did not answer"),
        "given_back": gettext("Given back before it was sent"),
        "rejected": gettext("Refused by the receiving server"),
        "render_failed": gettext("The message could not be made"),
        "failed": gettext("Could not be sent"),
    }
    return str(texts.get(reason, reason.replace("_", " ")))


def balance(numbers: Numbers) -> str:
    """Return the ledger's numbers as one sentence, for those who do not see the bar."""
    return str(
        gettext(
            "%(planned)s planned: %(accepted)s accepted, %(skipped)s skipped, %(failed)s failed, "
            "%(cancelled)s cancelled, %(uncertain)s uncertain, %(open)s open",
            planned=words.number(numbers.planned),
            accepted=words.number(numbers.accepted),
            skipped=words.number(numbers.skipped),
            failed=words.number(numbers.failed),
            cancelled=words.number(numbers.cancelled),
            uncertain=words.number(numbers.uncertain),
            open=words.number(numbers.open),
        )
    )


def lead(seconds: int) -> str:
    """Return the minimum lead of a publication as people say it."""
    if seconds and seconds % 60 == 0:
        return str(ngettext("one minute", "%(num)d minutes", seconds // 60))
    return str(ngettext("one second", "%(num)d seconds", seconds))


def fingerprint(content_hash: str | None) -> list[str]:
    """Return a hash in groups of four, as the page shows it."""
    text = (content_hash or "").partition(":")[2]
    return [text[at : at + 4] for at in range(0, len(text), 4)]
