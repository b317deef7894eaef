"""What both review pages show, in a workspace and by mail link: facts, changes, messages, people, checks."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import request
from flask_babel import gettext

from saas.accounts.queries import accounts
from saas.campaigns import queries
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.service import changes
from saas.campaigns.service import review as reviews
from saas.campaigns.service.changes import Changes
from saas.campaigns.service.live_edit import too_late
from saas.campaigns.types import CampaignKind, RevisionState
from saas.channels import queries as channels
from saas.channels.rules import fingerprint_of
from saas.content.current import renderer
from saas.http.types import Context
from saas.sending.queries import quota
from saas.web import words
from saas.web.campaigns import cards, delivery, differs, draft_form, view
from saas.web.campaigns.flow_changes import FlowChanges
from saas.web.campaigns.round_words import recurrence_word, rounds_word
from saas.web.campaigns.start_words import start_word
from saas.web.campaigns.terms import Terms

_OF_FLOWS: Final = frozenset({"start", "next"})  # of one message alone they say nothing

Frame = Callable[[int, int, UUID | None], str]
Person = Callable[[int], str]


def values(context: Context, campaign: Campaign, row: Revision, *, frame: Frame, person: Person) -> dict[str, Any]:
    """Return what `campaigns/_review.html` needs. Raises NotFound before a submission, DocumentAltered.

    frame: the address of a message alone, of (revision, step, contact); person: of the page with another sample person.
    """
    found = reviews.review(
        context.session,
        actor=context.actor,
        campaign=campaign,
        row=row,
        renderer=renderer(),
        public_url=context.settings.public_url,
        lead_s=context.settings.publish_lead_s,
        now=context.now,
    )
    differ = changes.changes(context.session, actor=context.actor, campaign=campaign, row=row)
    flow = _flow(context, row, found)
    titles = {no: str(gettext("Step %(no)s, %(name)s", no=no, name=card.name)) for no, card in flow.cards.items()}
    said = differs.Words(context, found.time_zone or "UTC", titles=titles if len(titles) > 1 else {})
    stands = Terms(context, document_raw(row), said)
    return {
        "campaign": campaign,
        "revision": row,
        "review": found,
        "sample": _sample_no(found),
        "sees_people": reviews.may_see(context.actor, campaign),
        "changes": differ,
        "change_rows": _change_rows(context, row, differ, said),
        "flow": None if draft_form.is_slim(document_raw(row)) else flow,
        "terms": stands.of_campaign(),
        "step_terms": stands.of_steps(),
        "rounds_word": rounds_word,
        "rule_word": recurrence_word,
        "start": start_word(context.session, document_raw(row), CampaignKind(campaign.kind)),
        "change_sources": said.sources(differ),
        "compared": differs.compared_steps(differ),
        "folds": _folds(differ, found),
        "facet_word": said.facet,
        "frame": frame,
        "person": person,
        "times": _times(context, found),
        "fingerprint": view.fingerprint(row.content_hash),
        "checks": [*_check_begun(context, campaign, row), *_checks(context, row, found)],
        "reason_word": view.reason_word,
        "speed_word": delivery.speed_word,
        "waves_word": delivery.waves_word,
        "cap_word": delivery.cap_word,
        "quiet_word": delivery.quiet_word,
        "window_word": delivery.window_word,
        "span_word": delivery.span_word,
        "lead": view.lead(context.settings.publish_lead_s),
    }


def document_raw(row: Revision) -> Mapping[str, Any]:
    """Return a submitted document as it was written."""
    found: Mapping[str, Any] = json.loads(row.document or b"{}")
    return found


def _flow(context: Context, row: Revision, found: reviews.Review) -> cards.Flow:
    return cards.flow_of(context.session, document_raw(row), zone=found.time_zone or "UTC", now=context.now)


def _change_rows(context: Context, row: Revision, differ: Changes, said: differs.Words) -> list[differs.Row]:
    """Return what changed in short: of a flow its steps first, then what is left to tell."""
    if differ.since_no is None:
        return []
    before = queries.revision(context.session, campaign_id=row.campaign_id, no=differ.since_no)
    documents = document_raw(before), document_raw(row)
    if all(draft_form.is_slim(document) for document in documents):
        return said.rows(change for change in differ.changes if change.field not in _OF_FLOWS)
    flow = FlowChanges(context.session, *documents, now=context.now)
    return [*flow.rows(), *said.rows(change for change in differ.changes if not flow.says(change))]


def _folds(differ: Changes, found: reviews.Review) -> frozenset[str]:
    """Return what is as it was approved and may stand folded: steps by number, `delivery`."""
    if differ.since_no is None:
        return frozenset()
    touched, parts = differs.changed_steps(differ), differs.changed_parts(differ)
    same = {str(step.step_no) for step in found.steps if step.step_no not in touched}
    return frozenset(same | ({"delivery"} if "delivery" not in parts else set()))


def _times(context: Context, found: reviews.Review) -> list[tuple[str, str]]:
    """Return the start in the campaign's zone and in the reader's, where they are not the page's, as (time, city)."""
    start = found.effective_if_approved_now or found.planned_at
    if start is None:
        return []
    zones = [found.time_zone, _own_zone(context)]
    return [(words.when(start, zone, now=context.now), words.city(zone)) for zone in dict.fromkeys(zones) if zone]


def _own_zone(context: Context) -> str | None:
    """Return the zone that the reader chose for themselves; their browser's is added by script."""
    if context.actor.account_id is None:
        return None
    row = accounts(context.session, [context.actor.account_id])[context.actor.account_id]
    zone = getattr(row, "time_zone", None)
    return ZoneInfo(zone).key if zone else None


def _sample_no(found: reviews.Review) -> int:
    """Return which of the sample people is shown."""
    asked, most = request.args.get("as", "0"), max((len(step.samples) for step in found.steps), default=1)
    return min(int(asked), most - 1) if asked.isascii() and asked.isdecimal() and len(asked) < 4 else 0


def _checks(context: Context, row: Revision, found: reviews.Review) -> list[tuple[str, str]]:
    """Return what was looked at, as (kind, sentence); what needs attention first."""
    people = [*_check_people(row, found), *_check_quota(context, found)]
    times = [*_check_time(row, found), *_check_quiet(context, row, found)]
    looked = dict.fromkeys([*people, *times, *_check_channels(context, row), *_check_messages(found)])
    return sorted(looked, key=lambda check: check[0] == "ok")


def _check_begun(context: Context, campaign: Campaign, row: Revision) -> list[tuple[str, str]]:
    """Say where a revision that waits to be signed or published came too late (R9)."""
    if RevisionState(row.state) not in {RevisionState.IN_REVIEW, RevisionState.APPROVED}:
        return []
    if not too_late(context.session, campaign, row):
        return []
    text = gettext(
        "A step that it changes has begun meanwhile, so it can be neither signed nor published. Ask for changes: "
        "back in editing, what is still possible can be carried over."
    )
    return [("bad", text)]


def _check_people(row: Revision, found: reviews.Review) -> list[tuple[str, str]]:
    if found.count is None:
        return [("ok", gettext("Each call names its people; consent and suppressions are looked at for each of them."))]
    if not found.reachable:
        return [("warn", gettext("Nobody of the audience could be sent to now."))]
    checks = [("ok", gettext("Consent, suppressions and addresses are looked at again right before each message."))]
    if found.left_out:
        checks.append(("warn", gettext("More differs between people than the sample people can show.")))
    if row.audience_count is not None and row.audience_count != found.count:
        now, then = words.number(found.count), words.number(row.audience_count)
        checks.append(("warn", gettext("%(now)s people now, %(then)s when it was submitted.", now=now, then=then)))
    return checks


def _check_quota(context: Context, found: reviews.Review) -> list[tuple[str, str]]:
    """Return a warning where this month's quota is not enough for everybody who could be sent to now."""
    left = quota(context.session, now=context.now)
    if left is None or found.reachable is None or left.left >= found.reachable:
        return []
    text = gettext(
        "%(left)s of %(quota)s messages of this month are left, and %(people)s people could be sent to now. "
        "Who goes beyond is skipped, if it is sent this month.",
        left=words.number(left.left),
        quota=words.number(left.messages),
        people=words.number(found.reachable),
    )
    return [("warn", text)]


def _check_time(row: Revision, found: reviews.Review) -> list[tuple[str, str]]:
    if row.planned_at is None or row.state != RevisionState.IN_REVIEW:
        return []
    if found.effective_if_approved_now is None:
        return [("warn", gettext("The planned time has passed. Approved now, it waits until a new start is chosen."))]
    if found.effective_if_approved_now > row.planned_at:
        return [("warn", gettext("Signed now, it starts later than planned, because a start needs its lead."))]
    return [("ok", gettext("The planned time lies ahead."))]


def _check_quiet(context: Context, row: Revision, found: reviews.Review) -> list[tuple[str, str]]:
    """Return a warning where it starts in quiet hours, as long as that lies ahead."""
    starts, until = row.effective_at or found.effective_if_approved_now, found.settings.quiet_until
    if starts is None or until is None or until <= context.now:
        return []
    zone = found.time_zone or "UTC"
    start, leave = (words.when(moment, zone, now=context.now) for moment in (starts, until))
    text = gettext(
        "It starts %(start)s, in quiet hours: the first messages leave %(leave)s (%(city)s).",
        start=start,
        leave=leave,
        city=words.city(zone),
    )
    return [("warn", text)]


def _check_channels(context: Context, row: Revision) -> list[tuple[str, str]]:
    found = []
    for step in reviews.document_of(row).messages:
        live = channels.find(context.session, step.channel_id)
        if live is None or live.archived_at is not None:
            found.append(("bad", gettext("The channel configuration of “%(step)s” is gone.", step=step.name)))
        elif fingerprint_of(live) != step.channel:
            found.append(("bad", gettext("The channel configuration of “%(step)s” has changed since.", step=step.name)))
        else:
            found.append(("ok", gettext("The channel configuration is as it was submitted.")))
    return found


def _check_messages(found: reviews.Review) -> list[tuple[str, str]]:
    failing = [sample.label for step in found.steps for sample in step.samples if sample.failure]
    if failing:
        return [("bad", gettext("The message could not be made for %(who)s.", who=", ".join(failing)))]
    return [("ok", gettext("The message could be made for every sample person."))]
