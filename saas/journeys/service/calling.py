"""Answer a file of calls, some lines at a time, so that it may be interrupted anywhere (R5.8; reliability.md 4).

One visit of the agenda is one transaction: it reads the next lines where the last one ended, enters their people by the
statement of a call, writes down what was not accepted, and moves position and counts. A worker that dies leaves the
file as it was before its visit. So nobody is entered twice, also without keys of the caller's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Session

from saas.campaigns.models import Campaign
from saas.journeys.models import CallFile
from saas.journeys.rules.lines import BadLine, Told, as_json, is_blank, read_line, split
from saas.journeys.service.call_files import KEPT, OPEN, end
from saas.journeys.service.terms import CampaignOver, NotAccepting, WindowOver
from saas.journeys.service.trigger import trigger
from saas.journeys.types import Answer, CallFileState, LineAnswer, Recipient, Result
from saas.kernel.ids import show
from saas.permissions.types import Action, Actor, ActorKind, Right
from saas.platform.agenda.types import Piece
from saas.platform.db import bound_tenant
from saas.platform.files import service as files
from saas.tenants.service.members import still_may

LINES: Final = 1000  # of one visit
BYTES: Final = 4 * 1024 * 1024  # a visit of long lines ends here
GIVE_UP_AFTER: Final = 5
LOOK_AGAIN: Final = timedelta(minutes=5)  # a campaign that goes on wakes its files; this is for one that was stopped

_NOT_ALLOWED: Final = (
    "Stopped: who uploaded this file may no longer call campaigns here, or the workspace is suspended. Who was entered"
    " before stays."
)
_BROKEN: Final = "Something went wrong on our side, several times. It is logged; send the rest of the file again later."
_GONE: Final = "The file is no longer kept. Upload the rest of it again."
_WORDS: Final = {
    Answer.DUPLICATE: "This person has this entry already.",
    Answer.UNKNOWN_CONTACT: "Nobody of this name is known in this workspace.",
    Answer.SUPPRESSED: "This address is on the suppression list.",
    Answer.TOO_LATE: "Nobody may come any more: the campaign's first date has begun.",
}


@dataclass(slots=True)
class _Lines:
    """The next lines of a file. size: in bytes; passed: their number; told: lines that name nobody, by place."""

    recipients: list[Recipient] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    size: int = 0
    passed: int = 0


def go_on(session: Session, call_file_id: UUID, *, failures: int, now: datetime) -> Piece:
    """Answer the next lines of a file of calls; one that failed too often is given up."""
    row = session.get(CallFile, (bound_tenant(session), call_file_id), with_for_update=True)
    if row is None or row.state not in OPEN:
        return Piece(units=0)
    refusal = _refusal(session, row, failures, now)
    if refusal:
        end(session, row, CallFileState.FAILED, detail=refusal, now=now)
        return Piece(units=0)
    row.state, row.started_at = CallFileState.RUNNING.value, row.started_at or now
    found = _next_lines(session, row)
    try:
        results = _results(session, row, found.recipients, now)
    except NotAccepting as error:
        # Paused, or about to start or to change: who waits is not lost.
        row.detail = f"{error.detail} The file goes on by itself."
        return Piece(units=0, again_at=now + LOOK_AGAIN)
    _write(session, row, found, results, now)
    if row.done_bytes >= row.size_bytes:
        end(session, row, CallFileState.DONE, now=now)
        return Piece(units=found.passed)
    return Piece(units=found.passed, again_at=now)


def _refusal(session: Session, row: CallFile, failures: int, now: datetime) -> str | None:
    """Say why a file cannot go on: asked before each piece, so that a role that is taken away holds from the next."""
    if failures >= GIVE_UP_AFTER:
        return _BROKEN
    campaign = session.get_one(Campaign, (row.tenant_id, row.campaign_id))
    may = still_may(
        session,
        account_id=row.created_by,
        key_id=row.created_key,
        action=Action.CAMPAIGN_TRIGGER,
        project_id=campaign.project_id,
        now=now,
    )
    if not may:
        return _NOT_ALLOWED
    return None if row.file_id is not None and files.is_kept(session, row.file_id) else _GONE


def _next_lines(session: Session, row: CallFile) -> _Lines:
    """Read on where the last visit ended."""
    found = _Lines()
    assert row.file_id is not None  # noqa: S101  asked before
    for raw in split(files.read(session, row.file_id, begin=row.done_bytes)):
        found.size += raw.size
        found.passed += 1
        number = row.position + found.passed
        if not is_blank(raw):
            try:
                own_key = f"{show('clf', row.call_file_id)}:{number}"
                found.recipients.append(read_line(raw, index=len(found.recipients), own_key=own_key))
                found.numbers.append(number)
            except BadLine as bad:
                told = Told(number, bad.recipient, bad.entry_key, LineAnswer.INVALID, bad.detail)
                found.told.append(told)
        if found.passed >= LINES or found.size >= BYTES:
            break
    return found


def _results(session: Session, row: CallFile, recipients: Sequence[Recipient], now: datetime) -> list[tuple[str, str]]:
    """Enter people as a call does. Returns answer and detail of each; NotAccepting where a call is to be made later."""
    try:
        found = trigger(
            session, actor=_caller(row), campaign_id=row.campaign_id, call_id=show("clf", row.call_file_id),
            recipients=recipients, now=now,
        )  # fmt: skip
    except CampaignOver as over:
        return [(LineAnswer.NOT_ACTIVE, over.detail)] * len(recipients)
    except WindowOver as over:
        return [(Answer.TOO_LATE, over.detail)] * len(recipients)
    return [(result.status, _detail(result)) for result in found]


def _caller(row: CallFile) -> Actor:
    """Return who calls for whoever uploaded the file, and may still: that was asked just before."""
    right = Right(row.tenant_id, None, Action.CAMPAIGN_TRIGGER)
    return Actor(ActorKind.SYSTEM, None, "Countersign", tenant_id=row.tenant_id, rights=frozenset({right}))


def _detail(result: Result) -> str:
    return result.detail or _WORDS.get(result.status, "")


def _write(session: Session, row: CallFile, found: _Lines, results: Sequence[tuple[str, str]], now: datetime) -> None:
    counts = dict(row.counts)
    told = list(found.told)
    for recipient, number, (status, detail) in zip(found.recipients, found.numbers, results, strict=True):
        counts[status] += 1
        if status != Answer.ACCEPTED:
            told.append(Told(number, _shown(recipient), recipient.entry_key, status, detail))
    counts[LineAnswer.INVALID] += len(found.told)
    counts["lines"] += len(found.told) + len(found.recipients)
    if told:
        _append(session, row, sorted(told, key=lambda one: one.line), now)
    _move(row, counts, found)
    session.flush()


def _move(row: CallFile, counts: dict[str, Any], found: _Lines) -> None:
    row.counts, row.detail = counts, None
    row.position += found.passed
    row.done_bytes += found.size


def _append(session: Session, row: CallFile, told: Sequence[Told], now: datetime) -> None:
    if row.error_file_id is None:
        stored = files.put(
            session,
            [],
            name=f"errors-{show('clf', row.call_file_id)}.jsonl",
            content_type="application/x-ndjson",
            now=now,
            max_bytes=0,
            expires_at=now + KEPT,
        )
        row.error_file_id = stored.file_id
    files.append(session, row.error_file_id, b"".join(map(as_json, told)))


def _shown(recipient: Recipient) -> str:
    return recipient.name if recipient.shown is None else recipient.shown
