"""Make, change, delete and count audiences."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from saas.audiences.models import Audience
from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.queries.audiences import audience_for_update, audience_in
from saas.audiences.queries.lists import list_in
from saas.audiences.queries.segment import count
from saas.audiences.rules.segment import Segment, parse
from saas.audiences.types import Counted, InUse, NameTaken, Visibility
from saas.audit import service as audit
from saas.kernel.clock import monotonic
from saas.kernel.errors import Invalid, require_version
from saas.kernel.ids import show, uuid7
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant
from saas.tenants.queries import project

_in_use: list[Callable[[Session, UUID], bool]] = []


def keep_while(check: Callable[[Session, UUID], bool]) -> None:
    """Keep audiences public, and in being, for which this says yes; for packages above that refer to them (R16)."""
    if check not in _in_use:
        _in_use.append(check)


def create_audience(
    session: Session,
    *,
    actor: Actor,
    project_id: UUID,
    list_id: UUID,
    name: str,
    visibility: Visibility,
    rule: object,
    now: datetime,
) -> Audience:
    """Save a rule over a list of the same project. Raises NotFound, LacksRight, Invalid, NameTaken."""
    project(session, actor=actor, project_id=project_id)
    require(actor, Action.AUDIENCE_WRITE, project_id)
    _check_list(session, actor=actor, list_id=list_id, project_id=project_id)
    read_rule(session, rule)
    row = Audience(
        tenant_id=bound_tenant(session),
        audience_id=uuid7(),
        project_id=project_id,
        list_id=list_id,
        name=name.strip(),
        visibility=visibility.value,
        rule=rule,
        created_by=actor.account_id,
        created_at=now,
        updated_at=now,
        version=1,
    )
    session.add(row)
    _flush(session, row.name)
    audit.append(session, actor=actor, action="audience.created", subject=show("aud", row.audience_id), now=now)
    return row


def change_audience(
    session: Session, *, actor: Actor, audience_id: UUID, seen_version: int, changes: Mapping[str, Any], now: datetime
) -> Audience:
    """Change name, visibility, list or rule. Raises NotFound, LacksRight, Stale, Invalid, NameTaken."""
    row = _writable(session, actor=actor, audience_id=audience_id, seen_version=seen_version)
    if "list_id" in changes:
        _check_list(session, actor=actor, list_id=changes["list_id"], project_id=row.project_id)
    if "rule" in changes:
        read_rule(session, changes["rule"])
    if changes.get("visibility") == Visibility.PRIVATE and row.visibility != Visibility.PRIVATE:
        _refuse_in_use(session, audience_id, "A campaign uses this audience; campaigns need it to be public.")
    if changes.keys() & {"rule", "list_id"}:
        row.last_count = row.last_count_ms = row.last_counted_at = None
    for word, value in changes.items():
        setattr(row, word, str(value).strip() if word in {"name", "visibility"} else value)
    row.updated_at = now
    row.version += 1
    _flush(session, row.name)
    facts = {"changed": sorted(changes)}
    subject = show("aud", audience_id)
    audit.append(session, actor=actor, action="audience.changed", subject=subject, now=now, facts=facts)
    return row


def delete_audience(session: Session, *, actor: Actor, audience_id: UUID, seen_version: int, now: datetime) -> None:
    """Delete an audience. Raises NotFound, LacksRight, Stale, InUse."""
    row = _writable(session, actor=actor, audience_id=audience_id, seen_version=seen_version)
    _refuse_in_use(session, audience_id, "A campaign uses this audience. Choose another one there first.")
    session.delete(row)
    session.flush()
    audit.append(session, actor=actor, action="audience.deleted", subject=show("aud", audience_id), now=now)


def count_audience(session: Session, *, actor: Actor, audience_id: UUID, now: datetime) -> Counted:
    """Count an audience's people now, and remember the number. Raises NotFound, Invalid."""
    row = audience_in(session, audience_id, actor=actor)
    found = _count(session, row.list_id, read_rule(session, row.rule), now)
    row.last_count, row.last_count_ms, row.last_counted_at = found.count, found.took_ms, found.counted_at
    session.flush()
    return found


def count_rule(session: Session, *, actor: Actor, list_id: UUID, rule: object, now: datetime) -> Counted:
    """Count whom a rule would find on a list. It needs the right to write audiences: counting is a way of asking.

    Raises NotFound, LacksRight, Invalid.
    """
    row = list_in(session, list_id, actor=actor)
    require(actor, Action.AUDIENCE_WRITE, row.project_id)
    return _count(session, list_id, read_rule(session, rule), now)


def read_rule(session: Session, rule: object, *, pointer: str = "/rule") -> Segment:
    """Read a rule with the attributes of this workspace. Raises Invalid."""
    return parse(rule, kinds=attribute_kinds(session), pointer=pointer)


def _count(session: Session, list_id: UUID, rule: Segment, now: datetime) -> Counted:
    started = monotonic()
    number = count(session, list_id=list_id, rule=rule)
    return Counted(number, round((monotonic() - started) * 1000), now)


def _check_list(session: Session, *, actor: Actor, list_id: UUID, project_id: UUID) -> None:
    if list_in(session, list_id, actor=actor).project_id != project_id:
        raise Invalid.at("/list_id", "This list belongs to another project.")


def _writable(session: Session, *, actor: Actor, audience_id: UUID, seen_version: int) -> Audience:
    row = audience_for_update(session, audience_id, actor=actor)
    require(actor, Action.AUDIENCE_WRITE, row.project_id)
    require_version(row.version, seen_version)
    return row


def _refuse_in_use(session: Session, audience_id: UUID, why: str) -> None:
    if any(check(session, audience_id) for check in _in_use):
        raise InUse(why)


def _flush(session: Session, name: str) -> None:
    try:
        session.flush()
    except IntegrityError:
        raise NameTaken(f"There is an audience named “{name}” in this project already.") from None
