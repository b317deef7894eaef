"""Files of calls as people see them: upload, watch, cancel, download what was not accepted (R5.8)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.journeys.models import CallFile
from saas.journeys.queries import call_file_in
from saas.journeys.rules.lines import BadPacking, unpacked
from saas.journeys.service.trigger import check_accepting
from saas.journeys.types import Answer, CallFileState, LineAnswer
from saas.kernel.errors import Conflict, Invalid, NotFound
from saas.kernel.ids import show, uuid7
from saas.ledger.types import CALL_FILE
from saas.permissions.types import SYSTEM, Actor
from saas.platform.agenda.service import arm
from saas.platform.db import bound_tenant
from saas.platform.files import service as files

KEPT: Final = timedelta(days=7)
OPEN: Final = frozenset({CallFileState.QUEUED.value, CallFileState.RUNNING.value})
NOTHING_YET: Final[Mapping[str, int]] = {"lines": 0} | dict.fromkeys([*map(str, Answer), *map(str, LineAnswer)], 0)


class CallFileOver(Conflict):
    """The file of calls is answered; there is nothing to cancel."""

    code = "call_file_is_over"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that somebody sends: JSON Lines, perhaps packed by gzip."""

    blocks: Iterable[bytes]
    file_name: str


def start_call_file(
    session: Session,
    *,
    actor: Actor,
    campaign_id: UUID,
    upload: Callable[[], Upload],
    max_bytes: int,
    now: datetime,
) -> CallFile:
    """Store a file and have its lines answered. Raises NotAccepting, NotFound, LacksRight, Invalid.

    upload: looked at only when the campaign takes calls. max_bytes: of the file as it is read, unpacked.
    """
    check_accepting(session, actor=actor, campaign_id=campaign_id, now=now)
    sent = upload()
    stored = files.put(
        session,
        _plain(sent.blocks),
        name=sent.file_name,
        content_type="application/x-ndjson",
        now=now,
        max_bytes=max_bytes,
        expires_at=now + KEPT,
    )
    if not stored.size_bytes:
        raise Invalid("The file is empty.")
    row = CallFile(
        tenant_id=bound_tenant(session),
        call_file_id=uuid7(),
        campaign_id=campaign_id,
        file_id=stored.file_id,
        file_name=stored.name,
        state=CallFileState.QUEUED.value,
        size_bytes=stored.size_bytes,
        done_bytes=0,
        position=0,
        counts=dict(NOTHING_YET),
        created_by=actor.account_id,
        created_key=actor.key_id,
        created_at=now,
    )
    session.add(row)
    session.flush()
    arm(session, work=CALL_FILE, subject=row.call_file_id, due_at=now)
    _tell(session, row, "call_file.started", actor=actor, now=now, bytes=stored.size_bytes)
    return row


def cancel_call_file(session: Session, *, actor: Actor, call_file_id: UUID, now: datetime) -> CallFile:
    """Stop before the next lines; who was entered stays. Raises NotFound, CallFileOver.

    Its row on the agenda finds by itself that there is nothing left to do: taking it away here could wait for the
    worker that waits for this row.
    """
    row = call_file_in(session, call_file_id, actor=actor)
    session.refresh(row, with_for_update=True)  # a piece of work that is being done holds it
    if row.state not in OPEN:
        raise CallFileOver(f"This file is {row.state} already.")
    _close(session, row, CallFileState.CANCELLED, detail=None, now=now)
    _tell(session, row, "call_file.cancelled", actor=actor, now=now)
    return row


def errors_of(session: Session, *, actor: Actor, call_file_id: UUID, now: datetime) -> UUID:
    """Return the file of all lines that were not accepted. It holds personal data: taking it leaves an entry.

    Raises NotFound.
    """
    row = call_file_in(session, call_file_id, actor=actor)
    if row.error_file_id is None:
        raise NotFound("This file of calls has no error file: every line so far was accepted.")
    files.info(session, row.error_file_id)
    _tell(session, row, "call_file.errors_downloaded", actor=actor, now=now)
    return row.error_file_id


def wake_call_files(session: Session, campaign_id: UUID, *, now: datetime) -> None:
    """Have a campaign's files go on that waited until it takes calls."""
    waiting = sa.select(CallFile.call_file_id).where(
        CallFile.tenant_id == bound_tenant(session), CallFile.campaign_id == campaign_id, CallFile.state.in_(OPEN)
    )
    for call_file_id in session.scalars(waiting.order_by(CallFile.call_file_id)):
        arm(session, work=CALL_FILE, subject=call_file_id, due_at=now)


def end(session: Session, row: CallFile, state: CallFileState, *, now: datetime, detail: str | None = None) -> None:
    """Write the end down, as the worker finds it."""
    _close(session, row, state, detail=detail, now=now)
    _tell(session, row, "call_file.finished", actor=SYSTEM, now=now, state=state.value, counts=dict(row.counts))


def _close(session: Session, row: CallFile, state: CallFileState, *, detail: str | None, now: datetime) -> None:
    """Close a file. What was uploaded is personal data that nobody needs any more."""
    row.state, row.detail, row.finished_at = state.value, detail, now
    if row.file_id is not None:
        files.remove(session, row.file_id)
        row.file_id = None
    session.flush()


def _plain(blocks: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from unpacked(blocks)
    except BadPacking as error:
        raise Invalid(str(error)) from None


def _tell(session: Session, row: CallFile, action: str, *, actor: Actor, now: datetime, **facts: object) -> None:
    subject = show("cam", row.campaign_id)
    told = {"file": show("clf", row.call_file_id), **facts}
    audit.append(session, actor=actor, action=action, subject=subject, now=now, facts=told)
