"""Invitations by mail: make, send, resend, withdraw, accept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.accounts import queries as accounts
from saas.accounts.models import Account
from saas.accounts.rules import address_key, is_token, token_hash
from saas.accounts.service import people as identity
from saas.accounts.service import second_step, signing_in
from saas.accounts.types import Origin, Refused
from saas.audit import service as audit
from saas.kernel.errors import Invalid
from saas.kernel.ids import show, uuid7
from saas.notices.rules import ascii_address
from saas.notices.service import mail as notices
from saas.permissions.policy import require, require_grant, require_somewhere
from saas.permissions.types import Action, Actor, ActorKind, Role, WorkspaceAtRest
from saas.platform.agenda.service import arm, disarm
from saas.platform.db import bind, bound_tenant
from saas.platform.settings import Settings
from saas.tenants import queries
from saas.tenants.models import Invitation
from saas.tenants.rules import Lines, invitation_mail, new_token, read_token, state_of
from saas.tenants.service import brand, members, standing, workspaces
from saas.tenants.types import (
    INVITATION_MAIL,
    InvitationClosed,
    InvitationGone,
    InvitationState,
    Invited,
    OpenInvitation,
    Outcome,
    Reply,
)

# One open invitation per address and place: the condition of the index uq_invitation_open.
_OPEN: Final = sa.and_(Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None))


def invite(session: Session, *, actor: Actor, people: Sequence[Invited], hours: int, now: datetime) -> Sequence[Reply]:
    """Invite people; each line has an answer of its own. An open invitation is changed and sent anew.

    A line with the address and the place of an earlier one is refused: which of two roles was meant, nobody knows.
    Raises LacksRight when the actor may not hand out one of the roles.
    """
    require_somewhere(actor, Action.MEMBER_WRITE)
    until, lines = now + timedelta(hours=hours), Lines()
    return [_invite(session, actor=actor, person=person, lines=lines, dates=(now, until)) for person in people]


def _invite(
    session: Session, *, actor: Actor, person: Invited, lines: Lines, dates: tuple[datetime, datetime]
) -> Reply:
    (now, expires_at), email = dates, ""
    lines.go_on()
    try:
        email = address_key(_address_of(session, actor, person))
        ascii_address(email)
        workspaces.check_project(session, person.project_id)
        lines.take(email, person.project_id)
    except Invalid as error:
        return Reply(email=person.email or email, role=person.role, outcome=Outcome.INVALID, detail=error.detail)
    require_grant(actor, person.role, person.project_id)
    account = accounts.account_at(session, email)
    held = account and queries.member(session, account_id=account.account_id, project_id=person.project_id)
    if held:
        detail = f"This person is a member already, with the role {held.role}."
        return Reply(email=email, role=person.role, outcome=Outcome.ALREADY_MEMBER, detail=detail)
    own = uuid7()
    found = _put_invitation(session, invitation_id=own, person=person, email=email, actor=actor, dates=dates)
    facts = members.grant_facts(person.role, person.project_id)
    audit.append(session, actor=actor, action="invitation.made", subject=show("inv", found), now=now, facts=facts)
    return Reply(
        email=email,
        role=person.role,
        outcome=Outcome.INVITED if found == own else Outcome.UPDATED,
        state=InvitationState.PENDING,
        invitation_id=found,
        expires_at=expires_at,
    )


def _address_of(session: Session, actor: Actor, person: Invited) -> str:
    """Return the address that a line means: its own, that of whom was picked, or of the one with that name (A13).

    Only people whom the inviter could pick are found by name: a name is no way to learn who is known here.
    """
    if person.account_id is None and ("@" in person.email or not person.email.strip()):
        return person.email
    known = queries.known_people(session, actor)
    if person.account_id is not None:
        found = [row for row in known if row.account_id == person.account_id]
    else:
        found = [row for row in known if row.name.casefold() == person.email.strip().casefold()]
    if not found:
        raise Invalid.at("/email", "Nobody of this name is known here; enter an address.")
    if len(found) > 1:
        raise Invalid.at("/email", "Several people have this name; enter the address.")
    return found[0].email


def _put_invitation(
    session: Session,
    *,
    invitation_id: UUID,
    person: Invited,
    email: str,
    actor: Actor,
    dates: tuple[datetime, datetime],
) -> UUID:
    now, expires_at = dates
    known = queries.open_invitation_at(session, email=email, project_id=person.project_id)
    if known is not None:
        # The agenda's row comes first, as it does for the worker that sends: no two wait for each other crosswise.
        arm(session, work=INVITATION_MAIL, subject=known.invitation_id, due_at=now)
    fresh = {
        "name": person.name.strip(), "role": person.role.value, "token_hash": None, "sent_at": None,
        "invited_by": actor.account_id, "expires_at": expires_at,
    }  # fmt: skip
    row = (
        insert(Invitation)
        .values(
            tenant_id=bound_tenant(session),
            invitation_id=invitation_id,
            email=email,
            project_id=person.project_id,
            created_at=now,
            **fresh,
        )
        .on_conflict_do_update(index_elements=["tenant_id", "email", "project_id"], index_where=_OPEN, set_=fresh)
        .returning(Invitation.invitation_id)
    )
    found = session.scalars(row).one()
    arm(session, work=INVITATION_MAIL, subject=found, due_at=now)
    return found


def resend(session: Session, *, actor: Actor, invitation_id: UUID, hours: int, now: datetime) -> Invitation:
    """Send an invitation anew: the old link ends now, the new one counts its time from now. Raises InvitationClosed."""
    row = queries.invitation(session, invitation_id)
    require_grant(actor, Role(row.role), row.project_id)
    arm(session, work=INVITATION_MAIL, subject=invitation_id, due_at=now)
    found = _update_open(
        session,
        row,
        token_hash=None,
        sent_at=None,
        expires_at=now + timedelta(hours=hours),
        invited_by=actor.account_id,
    )
    if found is None:
        raise InvitationClosed("This invitation was accepted or withdrawn already.")
    audit.append(session, actor=actor, action="invitation.resent", subject=show("inv", invitation_id), now=now)
    return found


def revoke(session: Session, *, actor: Actor, invitation_id: UUID, now: datetime) -> None:
    """Withdraw an invitation; doing it twice is no error. Raises InvitationClosed when it was accepted."""
    row = queries.invitation(session, invitation_id)
    require(actor, Action.MEMBER_WRITE, row.project_id)
    disarm(session, work=INVITATION_MAIL, subject=invitation_id)
    if _update_open(session, row, token_hash=None, revoked_at=now) is not None:
        audit.append(session, actor=actor, action="invitation.revoked", subject=show("inv", invitation_id), now=now)
        return
    session.refresh(row)
    if row.accepted_at is not None:
        raise InvitationClosed("This invitation was accepted already; remove the member instead.")


def _update_open(session: Session, row: Invitation, **values: object) -> Invitation | None:
    """Change an invitation if it is open still."""
    changed = (
        sa.update(Invitation)
        .where(Invitation.tenant_id == row.tenant_id, Invitation.invitation_id == row.invitation_id, _OPEN)
        .values(**values)
        .returning(Invitation)
    )
    options = {"populate_existing": True, "synchronize_session": False}
    return session.scalars(changed, execution_options=options).one_or_none()


def send_invitation(session: Session, *, invitation_id: UUID, settings: Settings, now: datetime) -> None:
    """Mail an invitation's link with a new token; one that is no longer open is left alone. Raises MailNotSent.

    The mail goes out before the commit: should that fail, the next try sends another link, and only that one works.
    """
    row = session.get(Invitation, (bound_tenant(session), invitation_id), with_for_update=True)
    if row is None or _state(row, now) not in {InvitationState.PENDING, InvitationState.SENT}:
        return
    token = new_token(row.tenant_id, row.invitation_id)
    row.token_hash, row.sent_at = token_hash(token), now
    session.flush()
    inviter = accounts.accounts(session, [row.invited_by])[row.invited_by]
    mail = invitation_mail(
        to=row.email,
        name=row.name,
        inviter=inviter.name,
        workspace=queries.workspace(session).name,
        look=brand.mail_look(session),
        role=Role(row.role),
        url=f"{settings.public_url}/invitations/{token}",
        expires_at=row.expires_at,
    )
    notices.send(mail, settings=settings, now=now)


def look_at_invitation(session: Session, *, token: str, now: datetime) -> OpenInvitation:
    """Return what an invitation's page shows, and bind the session to its workspace. Raises InvitationGone."""
    row = _by_token(session, token, now)
    account = accounts.account_at(session, row.email)
    return OpenInvitation(
        email=row.email,
        name=row.name,
        role=Role(row.role),
        workspace_name=queries.workspace(session).name,
        has_password=account is not None and account.password_hash is not None,
        has_second_step=account is not None and second_step.is_on(session, account.account_id),
    )


def accept(
    session: Session,
    *,
    token: str,
    name: str,
    password: str,
    code: str,
    origin: Origin,
    tools: signing_in.Tools,
    now: datetime,
) -> signing_in.Opened | Refused:
    """Accept an invitation and sign in.

    A new account gets the password; one that has a password must give it, and a code if it has a second step. When
    that is refused, the caller commits the counted try and says so. Raises InvitationGone, Invalid, LockedOut,
    LastAdmin.
    """
    row = _by_token(session, token, now)
    if not standing.is_active(session):
        raise WorkspaceAtRest("This workspace is at rest at the moment. Follow the link again when it is active.")

    def take() -> None:
        # Of two that hold the same link, one changes the row, and the other finds it changed.
        if _update_open(session, row, token_hash=None, accepted_at=now) is None:
            raise InvitationGone

    who = Bearer(row.email, name or row.name, password, code)
    opened = enter(session, who, origin=origin, tools=tools, take=take, now=now)
    if not isinstance(opened, Refused):
        _join(session, row, opened.account, now)
    return opened


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who holds an invitation's link, and what they typed."""

    email: str
    name: str
    password: str = field(repr=False)
    code: str = field(repr=False)


def enter(
    session: Session,
    who: Bearer,
    *,
    origin: Origin,
    tools: signing_in.Tools,
    take: Callable[[], None],
    now: datetime,
) -> signing_in.Opened | Refused:
    """Sign in whoever holds an invitation's link; a new account gets the password.

    take: spends the invitation, after a known account has proven itself and before a new one is made.
    """
    account = accounts.account_at(session, who.email)
    if account is not None and (account.password_hash is not None or account.suspended_at is not None):
        found = signing_in.sign_in(
            session, email=who.email, password=who.password, code=who.code, origin=origin, tools=tools, now=now
        )
        if not isinstance(found, Refused):
            take()
        return found
    take()
    cost, hours = tools.settings.password_cost, tools.settings.session_hours
    account = identity.first_password(
        session, email=who.email, name=who.name, password=who.password, now=now, cost=cost
    )
    return signing_in.open_for(session, account, origin=origin, hours=hours, now=now)


def _join(session: Session, row: Invitation, account: Account, now: datetime) -> None:
    role = Role(row.role)
    members.keep_an_admin(session, account_id=account.account_id, project_id=row.project_id, role=role)
    members.put_grant(
        session,
        account_id=account.account_id,
        role=role,
        project_id=row.project_id,
        granted_by=row.invited_by,
        now=now,
    )
    who = Actor(ActorKind.PERSON, account.account_id, account.name)
    facts = members.grant_facts(role, row.project_id) | {"invited_by": show("acc", row.invited_by)}
    subject = show("inv", row.invitation_id)
    audit.append(session, actor=who, action="invitation.accepted", subject=subject, now=now, facts=facts)


def _by_token(session: Session, token: str, now: datetime) -> Invitation:
    """Return the invitation of a link that works; binds the session. One refusal for all that does not."""
    found = read_token(token)
    if found is None:
        raise InvitationGone
    bind(session, found[0])
    row = session.get(Invitation, found)
    same = is_token(token, kept=row.token_hash if row is not None else None)
    if row is None or not same or _state(row, now) is not InvitationState.SENT:
        raise InvitationGone
    return row


def _state(row: Invitation, now: datetime) -> InvitationState:
    return state_of(
        sent_at=row.sent_at,
        expires_at=row.expires_at,
        accepted_at=row.accepted_at,
        revoked_at=row.revoked_at,
        now=now,
    )
