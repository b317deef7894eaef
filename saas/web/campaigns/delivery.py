"""Words for how fast, in which parts and how often a campaign may reach people; what it waits for while it runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import Final

import sqlalchemy as sa
from babel.dates import get_day_names
from flask_babel import get_locale, gettext, ngettext

from saas.campaigns import queries
from saas.campaigns.models import Campaign
from saas.campaigns.rules.document import Document, FrequencyCap, Wave
from saas.campaigns.rules.quiet import Nights, QuietHours, SendWindow
from saas.campaigns.service.review import DocumentAltered, document_of
from saas.campaigns.types import CampaignKind, CampaignState
from saas.channels import queries as channels
from saas.http.types import Context
from saas.kernel.ids import show
from saas.kernel.moments import later
from saas.ledger.models import Chunk, Run
from saas.ledger.queries.numbers import Numbers
from saas.ledger.types import ChunkState, Exc, RunState
from saas.notices import queries as alerts
from saas.notices.types import AlertKind
from saas.platform.db import bound_tenant
from saas.platform.seal.service import is_sealed
from saas.sending.queries import health
from saas.sending.rules.pressure import Health
from saas.sending.types import BreakerState
from saas.tenants.models import Workspace
from saas.web import words

_NEAR: Final = timedelta(seconds=5)
_STEADY_S: Final = 60  # a speed that was measured over less says nothing
_HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Next:
    """When the next people of a run are due, the last of those that are due already planned, and whether it works."""

    run: Run
    next_at: datetime | None
    last_at: datetime | None
    again: bool
    busy: bool


def speed_word(speed: int | None) -> str:
    """Return a send speed: "at most 20,000 an hour"."""
    if speed is None:
        return str(gettext("as fast as the channel allows"))
    return str(gettext("at most %(num)s an hour", num=words.number(speed)))


def waves_word(waves: Sequence[Wave]) -> str:
    """Return waves in a line: "10 % at the start, 90 % after 2 h"."""
    return ", ".join(
        str(gettext("%(part)s %% after %(span)s", part=wave.percent, span=span_word(wave.after_minutes * 60)))
        if wave.after_minutes
        else str(gettext("%(part)s %% at the start", part=wave.percent))
        for wave in waves
    )


def cap_word(cap: FrequencyCap | None) -> str:
    """Return a frequency cap: "at most 3 marketing messages in 7 days"."""
    if cap is None:
        return str(gettext("no limit of messages to a person"))
    days = ngettext("one day", "%(num)d days", cap.days)
    if not cap.messages:
        return str(gettext("nobody gets any marketing message"))
    return str(
        ngettext(
            "at most one marketing message to a person in %(days)s",
            "at most %(num)d marketing messages to a person in %(days)s",
            cap.messages,
            days=days,
        )
    )


def quiet_word(quiet: QuietHours | None) -> str:
    """Return quiet hours: "21:00 to 08:00"."""
    if quiet is None:
        return str(gettext("no quiet hours"))
    return str(gettext("%(start)s to %(end)s", start=quiet.words["from"], end=quiet.words["until"]))


def window_word(window: SendWindow) -> str:
    """Return a send window: "Mon, Fri, 09:00 to 17:00"."""
    names = get_day_names("abbreviated", context="stand-alone", locale=get_locale())
    days = ", ".join(names[day] for day in sorted(window.days))
    start, end = window.words["from"], window.words["until"]
    return str(gettext("%(days)s, %(start)s to %(end)s", days=days, start=start, end=end))


def cap_of(workspace: Workspace) -> FrequencyCap | None:
    """Return the frequency cap from which campaigns of a workspace start."""
    if workspace.cap_messages is None or workspace.cap_days is None:
        return None
    return FrequencyCap(workspace.cap_messages, workspace.cap_days)


def span_word(seconds: float) -> str:
    """Return a stretch of time in its two largest units: "2 h 30 min"."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return str(gettext("less than a minute"))
    days, rest = divmod(minutes, 24 * 60)
    hours, left = divmod(rest, 60)
    parts = [(days, gettext("d")), (hours, gettext("h")), (left if not days else 0, gettext("min"))]
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def pace(context: Context, campaign: Campaign, numbers: Numbers | None) -> list[str]:
    """Return what a campaign that runs waits for, how fast it was so far and when it may be done."""
    if CampaignState(campaign.state) is not CampaignState.ACTIVE or numbers is None:
        return []
    found = [_next(context, run) for run in _open_runs(context, campaign)]
    document = _document(context, campaign)
    lines = [line for one in found for line in _waiting(context, document, one)]
    return [*_quiet(context, campaign, document), *lines, *_forecast(context, campaign, document, found, numbers)]


def _quiet(context: Context, campaign: Campaign, document: Document | None) -> list[str]:
    """Return until when nothing leaves, while it is quiet."""
    until = _quiet_until(context, document)
    if until is None:
        return []
    at, ago = words.when(until, _zone(context), now=context.now), words.ago(until, now=context.now)
    line = str(gettext("Quiet hours until %(at)s, %(ago)s.", at=at, ago=ago))
    if CampaignKind(campaign.kind) is CampaignKind.API:
        line += " " + str(gettext("Calls are accepted; their messages leave then."))
    return [line]


def _quiet_until(context: Context, document: Document | None) -> datetime | None:
    if document is None or document.held_by is None:
        return None
    return document.held_by.ends_at(context.now, document.time_zone)


def _open_runs(context: Context, campaign: Campaign) -> Sequence[Run]:
    wanted = sa.select(Run).where(
        Run.tenant_id == bound_tenant(context.session),
        Run.campaign_id == campaign.campaign_id,
        Run.state == RunState.RUNNING,
    )
    return context.session.scalars(wanted).all()


def _next(context: Context, run: Run) -> Next:
    mine = (Chunk.tenant_id == run.tenant_id, Chunk.run_id == run.run_id)
    pending = sa.select(Chunk.not_before, Chunk.retry).where(*mine, Chunk.state == ChunkState.PENDING)
    first = context.session.execute(pending.order_by(Chunk.not_before, Chunk.no).limit(1)).first()
    last = context.session.execute(pending.order_by(Chunk.not_before.desc()).limit(1)).first()
    claimed = sa.select(Chunk.no).where(*mine, Chunk.state == ChunkState.CLAIMED).limit(1)
    return Next(
        run,
        next_at=first.not_before if first else None,
        last_at=last.not_before if last else None,
        again=bool(first and first.retry),
        busy=context.session.scalar(claimed) is not None,
    )


def _waiting(context: Context, document: Document | None, found: Next) -> list[str]:
    channel_id = found.run.channel_id
    if channel_id is None:  # a step that sends nothing waits for no channel
        return []
    state = health(context.session, [channel_id], now=context.now).get(channel_id, Health())
    if state.breaker is not BreakerState.CLOSED:
        why = words.health_word(state.reason)
        return [str(gettext("It waits for its channel. %(why)s", why=why)) + _tries(context, state)]
    lines = []
    quiet_until = _quiet_until(context, document) or context.now
    if found.next_at is not None and found.next_at > quiet_until and not found.busy:
        at, ago = words.when(found.next_at, _zone(context), now=context.now), words.ago(found.next_at, now=context.now)
        next_ones = gettext("The next messages leave %(at)s, %(ago)s", at=at, ago=ago)
        lines.append(str(next_ones) + _why(document, found))
    ceiling = channels.find(context.session, channel_id)
    if state.present_rate is not None and (ceiling is None or state.present_rate < (ceiling.rate_per_minute or inf)):
        rate = words.number(round(state.present_rate))
        lines.append(str(gettext("The mail server asked for less: at most %(rate)s a minute now.", rate=rate)))
    return lines


def _tries(context: Context, state: Health) -> str:
    if state.open_until is None or state.open_until <= context.now:
        return ""
    at = words.when(state.open_until, _zone(context), now=context.now)
    return " " + str(gettext("It tries again %(at)s.", at=at))


def _why(document: Document | None, found: Next) -> str:
    """Return what the next messages wait for, as the end of a sentence."""
    if found.again:
        return str(gettext(": second tries of what a server asked to send later."))
    if document is not None and found.next_at is not None and _is_wave(document, found):
        return str(gettext(": the next wave."))
    if document is not None and document.speed_per_hour is not None:
        return str(gettext(", to leave %(speed)s.", speed=speed_word(document.speed_per_hour)))
    return "."


def _is_wave(document: Document, found: Next) -> bool:
    starts = [at for at in (found.run.effective_at, found.run.started_at) if at is not None]
    due = [later(start, timedelta(minutes=wave.after_minutes)) for wave in document.waves for start in starts]
    return any(found.next_at is not None and abs(at - found.next_at) <= _NEAR for at in due)


def _document(context: Context, campaign: Campaign) -> Document | None:
    row = queries.published(context.session, campaign.campaign_id)
    try:
        return document_of(row) if row is not None else None
    except DocumentAltered:
        return None  # the review says so


def _forecast(
    context: Context, campaign: Campaign, document: Document | None, found: Sequence[Next], numbers: Numbers
) -> list[str]:
    """Return how many messages left an hour so far, and about when it is done; nothing before that can be known.

    People who were skipped are no messages. Whoever is still open takes as long as those who are settled took. While
    nothing can leave, nobody knows the end. The clock stands in quiet hours, those that were and those to come.
    """
    starts = [one.run.started_at for one in found if one.run.dated and one.run.started_at is not None]
    settled, messages = numbers.planned - numbers.open, messages_of(numbers)
    if not starts or not messages or campaign.started_at is None:
        return []
    start = min(starts)
    spent = _nights(document, start).awake_s((context.now - start).total_seconds())
    if spent < _STEADY_S:
        return []
    shown = words.number(round(messages / spent * _HOUR_S))
    if _is_blocked(context, campaign, found):
        return [str(gettext("About %(rate)s messages an hour so far.", rate=shown))]
    left_s = _nights(document, context.now).after(0.0, numbers.open * spent / settled)
    end = later(context.now, timedelta(seconds=left_s))
    last = max((one.last_at for one in found if one.last_at is not None), default=end)
    done = words.when(max(end, last), _zone(context), now=context.now)
    return [str(gettext("About %(rate)s messages an hour so far; done about %(at)s.", rate=shown, at=done))]


def _nights(document: Document | None, start: datetime) -> Nights:
    return Nights() if document is None else Nights.of(document.held_by, start=start, zone=document.time_zone)


def messages_of(numbers: Numbers) -> int:
    """Return how many messages were handed to a mail server, or may have been: accepted, uncertain, refused there."""
    why = numbers.why.get("failed", {})
    return numbers.accepted + numbers.uncertain + numbers.failed - why.get(Exc.RENDER_FAILED, 0)


def _is_blocked(context: Context, campaign: Campaign, found: Sequence[Next]) -> bool:
    """Say whether nothing leaves now, and nobody knows when it will: a shut channel, the seal, no progress."""
    ids = [one.run.channel_id for one in found if one.run.channel_id is not None]
    shut = [state for state in health(context.session, ids, now=context.now).values()
            if state.breaker is not BreakerState.CLOSED]  # fmt: skip
    if shut or is_sealed(context.session):
        return True
    stuck = (AlertKind.NO_PROGRESS, show("cam", campaign.campaign_id))
    return stuck in alerts.open_subjects(context.session, [AlertKind.NO_PROGRESS])


def _zone(context: Context) -> str:
    return context.session.get_one(Workspace, bound_tenant(context.session)).time_zone
