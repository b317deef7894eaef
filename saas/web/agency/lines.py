"""Entries of an agency's journal as people say them, with the names of persons and workspaces (R14)."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from flask_babel import gettext, lazy_gettext
from sqlalchemy.orm import Session

from saas.accounts.queries import accounts
from saas.kernel.ids import BadId, parse
from saas.permissions.types import Role
from saas.tenants.models import AgencyEntry
from saas.tenants.service import agency
from saas.web import words
from saas.web.activity.phrases import phrase

# One line for each action of the journal; each stands behind the name of who did it.
PHRASES: Final[Mapping[str, Any]] = {
    "staff.appointed": lazy_gettext("gave %(person)s another role: %(role)s"),
    "staff.dismissed": lazy_gettext("took %(person)s off the staff (%(role)s)"),
    "staff.given": lazy_gettext("gave %(person)s %(workspace)s"),
    "staff.invitation_resent": lazy_gettext("sent the invitation to %(person)s again"),
    "staff.invitation_revoked": lazy_gettext("withdrew the invitation to %(person)s"),
    "staff.invited": lazy_gettext("invited %(person)s to the staff (%(role)s)"),
    "staff.joined": lazy_gettext("joined the staff (%(role)s)"),
    "staff.taken": lazy_gettext("took %(workspace)s from %(person)s"),
}
# Where the person did it to themselves.
_TO_SELF: Final[Mapping[str, Any]] = {
    "staff.appointed": lazy_gettext("took another role: %(role)s"),
    "staff.dismissed": lazy_gettext("left the staff (%(role)s)"),
    "staff.given": lazy_gettext("took on %(workspace)s"),
    "staff.taken": lazy_gettext("gave up %(workspace)s"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """What somebody did in the agency."""

    who: str
    text: str
    at: datetime


def lines(
    session: Session, agency_id: UUID, entries: Sequence[AgencyEntry], *, workspaces: Mapping[UUID, str]
) -> list[Line]:
    """Return entries as lines, with the names of today. `workspaces`: those that the reader reaches, by id."""
    subjects = {row.subject: found for row in entries if (found := _id(row.subject))}
    actors = {row.actor_id for row in entries if row.actor_id is not None}
    named = {key: row.name for key, row in accounts(session, [*actors, *subjects.values()]).items()}
    known = named | agency.invited(session, agency_id=agency_id, ids=list(subjects.values()))
    return [
        Line(
            who=named.get(row.actor_id, gettext("Somebody")) if row.actor_id else gettext("Somebody"),
            text=said(
                row.action,
                row.facts,
                person=known.get(subjects[row.subject]) if row.subject in subjects else None,
                workspace=workspaces.get(_id(str(row.facts.get("workspace", ""))) or agency_id),
                to_self=row.actor_id is not None and subjects.get(row.subject) == row.actor_id,
            ),
            at=row.at,
        )
        for row in entries
    ]


def said(action: str, facts: Mapping[str, Any], *, person: str | None, workspace: str | None, to_self: bool) -> str:
    """Return what was done. Who is unknown by now is somebody, and what the reader does not reach a workspace."""
    known = _TO_SELF.get(action) if to_self else None
    known = known or PHRASES.get(action)
    if known is None:
        return phrase(action, facts)
    role = facts.get("role")
    return str(known) % {
        "person": person or gettext("somebody"),
        "workspace": gettext("the workspace “%(name)s”", name=workspace) if workspace else gettext("a workspace"),
        "role": words.role_word(role) if role in set(Role) else "…",
    }


def _id(text: str) -> UUID | None:
    """Return the id that a subject shows, of whatever kind."""
    with suppress(BadId):
        return parse(text.partition("_")[0], text)
    return None
