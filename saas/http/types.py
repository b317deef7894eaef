"""Words of the request shell."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from sqlalchemy.orm import Session

from saas.permissions.types import Action, Actor
from saas.platform.secrets.service import Vault
from saas.platform.settings import Settings


class Scope(StrEnum):
    """What a route works in. Each route declares one; a route without fails the build (security.md, last section)."""

    TENANT = "tenant"
    AGENCY = "agency"
    ACCOUNT = "account"
    PUBLIC = "public"
    PUBLIC_FORM = "public_form"  # a page's form for people who are not signed in: CSRF is checked


@dataclass(frozen=True, slots=True)
class Declared:
    """What a route says of itself: its scope, and the action it needs."""

    scope: Scope
    action: Action | None


@dataclass(frozen=True, slots=True)
class Context:
    """What a view is given: who acts, in which session, when, and the installation's settings and vault."""

    session: Session
    actor: Actor
    now: datetime
    settings: Settings
    vault: Vault


class Gate(Protocol):
    """Finds out who is asking; implemented in `app`, so that http knows neither users nor keys."""

    def person(self, session: Session) -> Actor | None:
        """Return the person signed in by cookie."""
        ...

    def key(self, session: Session, text: str, now: datetime) -> Actor | None:
        """Return the actor of an API key."""
        ...

    def spend(self, session: Session, actor: Actor, now: datetime) -> None:
        """Count a call of a key, where its workspace has a quota; at the very end of the call's transaction."""
        ...

    def enter(self, session: Session, actor: Actor, tenant_id: UUID) -> Actor | None:
        """Return the actor with their rights in a workspace; None when they have no business there."""
        ...
