"""The second step of a sign-in: codes of an authenticator app (RFC 6238), and recovery codes that work once each."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.models import Account, RecoveryCode, SecondStep
from saas.accounts.rules import (
    is_recovery,
    is_totp,
    matching_step,
    new_recovery_codes,
    new_secret,
    plain_code,
    recovery_hash,
)
from saas.accounts.service import mails
from saas.accounts.types import MailPurpose, SecondStepIsOff, SecondStepIsOn
from saas.kernel.errors import Invalid
from saas.platform.secrets.service import Place, Vault

_CODE: Final = "This code is wrong, or it was used before. Wait for the next one."


def begin(session: Session, account: Account, *, vault: Vault, now: datetime) -> str:
    """Make a secret to put into an app, in the place of an unconfirmed one. Raises SecondStepIsOn."""
    row = _row(session, account.account_id)
    if row is not None and row.confirmed_at is not None:
        raise SecondStepIsOn("The second step is on already. Turn it off first.")
    secret = new_secret()
    sealed = vault.seal_personal(secret, place=_place(account.account_id))
    if row is None:
        session.add(SecondStep(account_id=account.account_id, secret_sealed=sealed, made_at=now))
    else:
        row.secret_sealed, row.made_at, row.last_step = sealed, now, None
    session.flush()
    return secret


def secret_of(session: Session, account: Account, *, vault: Vault) -> str:
    """Return the secret that waits for its first code. Raises SecondStepIsOff."""
    row = _row(session, account.account_id)
    if row is None or row.confirmed_at is not None:
        raise SecondStepIsOff("Begin to set up the second step first.")
    return vault.open_personal(row.secret_sealed, place=_place(account.account_id))


def confirm(session: Session, account: Account, *, code: str, vault: Vault, now: datetime) -> Sequence[str]:
    """Turn the second step on with the app's first code; ends all sessions. Returns the recovery codes, shown once.

    Raises SecondStepIsOff when it was not begun, Invalid.
    """
    secret = secret_of(session, account, vault=vault)
    row = _row(session, account.account_id)
    step = matching_step(secret, plain_code(code), now=now, last_step=None)
    if row is None or step is None:
        raise Invalid.at("/code", _CODE)
    row.confirmed_at, row.last_step = now, step
    account.epoch += 1
    mails.tell(session, account, MailPurpose.SECOND_STEP_ON, now=now)
    return renew_codes(session, account)


def renew_codes(session: Session, account: Account) -> Sequence[str]:
    """Make new recovery codes; the old ones end. Returns them, shown once. Raises SecondStepIsOff."""
    if not is_on(session, account.account_id):
        raise SecondStepIsOff("The second step is off.")
    session.execute(sa.delete(RecoveryCode).where(RecoveryCode.account_id == account.account_id))
    codes = new_recovery_codes()
    for code in codes:
        session.add(RecoveryCode(account_id=account.account_id, code_hash=recovery_hash(account.account_id, code)))
    session.flush()
    return codes


def turn_off(session: Session, account: Account, *, now: datetime) -> None:
    """Turn the second step off; ends all sessions. The caller has seen password and code. Raises SecondStepIsOff."""
    if not is_on(session, account.account_id):
        raise SecondStepIsOff("The second step is off.")
    for model in (RecoveryCode, SecondStep):
        session.execute(sa.delete(model).where(model.account_id == account.account_id))
    account.epoch += 1
    mails.tell(session, account, MailPurpose.SECOND_STEP_OFF, now=now)
    session.flush()


def is_on(session: Session, account_id: UUID) -> bool:
    """Say whether an account's sign-ins need a code."""
    row = _row(session, account_id)
    return row is not None and row.confirmed_at is not None


def take(session: Session, account: Account, *, code: str, vault: Vault, now: datetime) -> bool:
    """Take a code of the app or a recovery code; each works once."""
    plain = plain_code(code)
    if is_totp(plain):
        return _take_totp(session, account.account_id, plain, vault=vault, now=now)
    return is_recovery(plain) and _take_recovery(session, account, plain, now=now)


def _take_totp(session: Session, account_id: UUID, code: str, *, vault: Vault, now: datetime) -> bool:
    # Held until the commit: of two that send the same code at once, one finds its step used.
    found = sa.select(SecondStep).where(SecondStep.account_id == account_id).with_for_update()
    row = session.scalars(found, execution_options={"populate_existing": True}).one_or_none()
    if row is None or row.confirmed_at is None:
        return False
    secret = vault.open_personal(row.secret_sealed, place=_place(account_id))
    step = matching_step(secret, code, now=now, last_step=row.last_step)
    if step is None:
        return False
    row.last_step = step
    session.flush()
    return True


def _take_recovery(session: Session, account: Account, code: str, *, now: datetime) -> bool:
    used = session.scalar(
        sa.update(RecoveryCode)
        .where(
            RecoveryCode.account_id == account.account_id,
            RecoveryCode.code_hash == recovery_hash(account.account_id, code),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now)
        .returning(RecoveryCode.account_id)
    )
    if used is None:
        return False
    mails.tell(session, account, MailPurpose.RECOVERY_USED, now=now)
    return True


def _row(session: Session, account_id: UUID) -> SecondStep | None:
    found = sa.select(SecondStep).where(SecondStep.account_id == account_id)
    return session.scalars(found, execution_options={"populate_existing": True}).one_or_none()


def _place(account_id: UUID) -> Place:
    return Place("second_step", account_id, "secret_sealed")
