"""Invitations to an agency's staff. They belong to no workspace; the agenda mails them as work of the installation."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.accounts import queries as accounts
from saas.accounts.models import Account
from saas.accounts.rules import address_key, is_token, token_hash
from saas.accounts.service import second_step, signing_in
from saas.accounts.types import Origin, Refused
from saas.kernel.errors import Invalid, NotFound
from saas.kernel.ids import show, uuid7
from saas.notices.rules import ascii_address
from saas.notices.service import mail as notices
from saas.permissions.queries import staff_role
from saas.permissions.types import Action, Actor, ActorKind, Role
from saas.platform.agenda.service import arm_for_installation
from saas.platform.settings import Settings
from saas.tenants.models import Agency, StaffInvitation
from saas.tenants.rules import Lines, new_staff_token, read_staff_token, staff_mail, state_of
from saas.tenants.service import agency, staff
from saas.tenants.service.invitations import Bearer, enter
from saas.tenants.types import (
    STAFF_INVITATION_MAIL,
    InvitationClosed,
    InvitationGone,
    InvitationState,
    Invited,
    OpenInvitation,
    Outcome,
    Reply,
)

_OPEN: Final = sa.and_(StaffInvitation.accepted_at.is_(None), StaffInvitation.revoked_at.is_(None))


def invite(
    session: Session,
    *,
    actor: Actor,
    agency_id: UUID,
    people: Sequence[Invited],
    hours: int,
    now: datetime,
) -> list[Reply]:
    """Invite people to the staff; each line has an answer of its own. An open invitation is changed and sent anew.

    A line with the address of an earlier one is refused. Raises NotFound, LacksRight.
    """
    staff.require_in_agency(actor, Action.AGENCY_WRITE, agency_id)
    until, lines = now + timedelta(hours=hours), Lines()
    return [_invite(session, actor, agency_id, person, lines, (now, until)) for person in people]


def _invite(
    session: Session, actor: Actor, agency_id: UUID, person: Invited, lines: Lines, dates: tuple[datetime, datetime]
) -> Reply:
    now, until = dates
    staff.require_appoint(session, actor=actor, agency_id=agency_id, role=person.role)
    lines.go_on()
    try:
        email = address_key(person.email)
        ascii_address(email)
        lines.take(email)
    except Invalid as error:
        return Reply(email=person.email, role=person.role, outcome=Outcome.INVALID, detail=error.detail)
    account = accounts.account_at(session, email)
    held = account and staff_role(session, account_id=account.account_id, agency_id=agency_id)
    if held:
        detail = f"This person is on the staff already, with the role {held.value}."
        return Reply(email=email, role=person.role, outcome=Outcome.ALREADY_MEMBER, detail=detail)
    own = uuid7()
    found = _put(session, own, actor, agency_id, email, person, dates)
    facts = {"role": person.role.value}
    subject = show("inv", found)
    staff.note(session, agency_id, actor=actor, action="staff.invited", subject=subject, facts=facts, now=now)
    return Reply(
        email=email,
        role=person.role,
        outcome=Outcome.INVITED if found == own else Outcome.UPDATED,
        state=InvitationState.PENDING,
        invitation_id=found,
        expires_at=until,
    )


def _put(
    session: Session,
    own: UUID,
    actor: Actor,
    agency_id: UUID,
    email: str,
    person: Invited,
    dates: tuple[datetime, datetime],
) -> UUID:
    now, until = dates
    known = session.scalar(
        sa.select(StaffInvitation.invitation_id).where(
            StaffInvitation.agency_id == agency_id, StaffInvitation.email == email, _OPEN
        )
    )
    if known is not None:
        # The agenda's row comes first, as it does for the worker that sends: no two wait for each other crosswise.
        arm_for_installation(session, work=STAFF_INVITATION_MAIL, subject=known, due_at=now)
    fresh = {
        "name": person.name.strip(), "role": person.role.value, "token_hash": None, "sent_at": None,
        "invited_by": actor.account_id, "expires_at": until,
    }  # fmt: skip
    row = insert(StaffInvitation).values(invitation_id=own, agency_id=agency_id, email=email, created_at=now, **fresh)
    row = row.on_conflict_do_update(index_elements=["agency_id", "email"], index_where=_OPEN, set_=fresh)
    options = {"populate_existing": True}
    found = session.scalars(row.returning(StaffInvitation), execution_options=options).one().invitation_id
    arm_for_installation(session, work=STAFF_INVITATION_MAIL, subject=found, due_at=now)
    return found


def send_invitation(session: Session, *, invitation_id: UUID, settings: Settings, now: datetime) -> None:
    """Mail an invitation's link with a new token; one that is no longer open is left alone. Raises MailNotSent.

    The mail goes out before the commit: should that fail, the next try sends another link, and only that one works.
    """
    row = session.get(StaffInvitation, invitation_id, with_for_update=True)
    if row is None or state(row, now) not in {InvitationState.PENDING, InvitationState.SENT}:
        return
    token = new_staff_token(row.invitation_id)
    row.token_hash, row.sent_at = token_hash(token), now
    session.flush()
    inviter = accounts.accounts(session, [row.invited_by])[row.invited_by]
    mail = staff_mail(
        to=row.email,
        name=row.name,
        inviter=inviter.name,
        agency=session.get_one(Agency, row.agency_id).name,
        role=Role(row.role),
        url=f"{settings.public_url}/staff-invitations/{token}",
        expires_at=row.expires_at,
    )
    notices.send(mail, settings=settings, now=now)


def resend(
    session: Session, *, actor: Actor, agency_id: UUID, invitation_id: UUID, hours: int, now: datetime
) -> StaffInvitation:
    """Send an invitation anew: the old link ends now. Raises NotFound, LacksRight, InvitationClosed."""
    row = _row(session, actor, agency_id, invitation_id)
    arm_for_installation(session, work=STAFF_INVITATION_MAIL, subject=invitation_id, due_at=now)
    until = now + timedelta(hours=hours)
    found = _update_open(session, row, token_hash=None, sent_at=None, expires_at=until, invited_by=actor.account_id)
    if found is None:
        raise InvitationClosed("This invitation was accepted or withdrawn already.")
    subject = show("inv", invitation_id)
    staff.note(session, agency_id, actor=actor, action="staff.invitation_resent", subject=subject, facts={}, now=now)
    return found


def revoke(session: Session, *, actor: Actor, agency_id: UUID, invitation_id: UUID, now: datetime) -> None:
    """Withdraw an invitation; doing it twice is no error. Raises NotFound, LacksRight, InvitationClosed."""
    row = _row(session, actor, agency_id, invitation_id)
    if _update_open(session, row, token_hash=None, revoked_at=now) is None:
        session.refresh(row)
        if row.accepted_at is not None:
            raise InvitationClosed("This invitation was accepted already; take the person off the staff instead.")
        return
    subject = show("inv", invitation_id)
    staff.note(session, agency_id, actor=actor, action="staff.invitation_revoked", subject=subject, facts={}, now=now)


def look(session: Session, *, token: str, now: datetime) -> OpenInvitation:
    """Return what an invitation's page shows. Raises InvitationGone."""
    row = _by_token(session, token, now)
    account = accounts.account_at(session, row.email)
    return OpenInvitation(
        email=row.email,
        name=row.name,
        role=Role(row.role),
        workspace_name=session.get_one(Agency, row.agency_id).name,
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
    """Accept an invitation to the staff and sign in, as with a workspace's invitation.

    Raises InvitationGone, Invalid, LockedOut.
    """
    row = _by_token(session, token, now)

    def take() -> None:
        if _update_open(session, row, token_hash=None, accepted_at=now) is None:
            raise InvitationGone

    who = Bearer(row.email, name or row.name, password, code)
    opened = enter(session, who, origin=origin, tools=tools, take=take, now=now)
    if not isinstance(opened, Refused):
        _join(session, row, opened.account, now)
    return opened


def _join(session: Session, row: StaffInvitation, account: Account, now: datetime) -> None:
    held = staff_role(session, account_id=account.account_id, agency_id=row.agency_id)
    if held is None:  # an invitation makes nobody less than they became meanwhile
        staff.put_staff(
            session,
            agency_id=row.agency_id,
            account_id=account.account_id,
            role=Role(row.role),
            granted_by=row.invited_by,
            now=now,
        )
    who = Actor(ActorKind.PERSON, account.account_id, account.name)
    facts = {"role": row.role, "invited_by": show("acc", row.invited_by)}
    subject = show("inv", row.invitation_id)
    staff.note(session, row.agency_id, actor=who, action="staff.joined", subject=subject, facts=facts, now=now)


def _row(session: Session, actor: Actor, agency_id: UUID, invitation_id: UUID) -> StaffInvitation:
    staff.require_in_agency(actor, Action.AGENCY_READ, agency_id)
    row = agency.staff_invitation(session, agency_id=agency_id, invitation_id=invitation_id)
    if row is None:
        raise NotFound("There is no such invitation in this agency.")
    staff.require_appoint(session, actor=actor, agency_id=agency_id, role=Role(row.role))
    return row


def _update_open(session: Session, row: StaffInvitation, **values: object) -> StaffInvitation | None:
    changed = (
        sa.update(StaffInvitation)
        .where(StaffInvitation.invitation_id == row.invitation_id, _OPEN)
        .values(**values)
        .returning(StaffInvitation)
    )
    options = {"populate_existing": True, "synchronize_session": False}
    return session.scalars(changed, execution_options=options).one_or_none()


def _by_token(session: Session, token: str, now: datetime) -> StaffInvitation:
    found: UUID | None = read_staff_token(token)
    row = session.get(StaffInvitation, found) if found is not None else None
    same = is_token(token, kept=row.token_hash if row is not None else None)
    if row is None or not same or state(row, now) is not InvitationState.SENT:
        raise InvitationGone
    return row


def state(row: StaffInvitation, now: datetime) -> InvitationState:
    """Return where an invitation stands."""
    return state_of(
        sent_at=row.sent_at,
        expires_at=row.expires_at,
        accepted_at=row.accepted_at,
        revoked_at=row.revoked_at,
        now=now,
    )
