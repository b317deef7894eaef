"""Campaigns that have been sent, written straight into the ledger: what reports and links have to read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.document import canonical, hash_of
from saas.content.rules import tokens
from saas.content.types import Purpose
from saas.kernel.clock import SystemClock
from saas.kernel.ids import show, uuid7
from saas.ledger.models import CHUNK_NOS, ENTRY_IDS, Chunk, Consent, Contact, Delivery, Entry, Run
from saas.platform.secrets.service import Vault
from tests.worlds import Place, bound

LINKS = ("https://northwind.example/boots?size=42&colour=red", "http://northwind.example/tents")


@dataclass
class Made:
    """A campaign with one run (of step 1), and the key that its links are made with."""

    engine: sa.Engine
    place: Place
    campaign_id: UUID
    run_id: UUID
    link_key: bytes
    entries: dict[str, int] = field(default_factory=dict)
    contacts: dict[str, UUID] = field(default_factory=dict)

    @property
    def cam(self) -> str:
        return show("cam", self.campaign_id)

    def token(self, email: str, purpose: Purpose, *, key: bytes | None = None) -> str:
        tenant = self.place.tenant_id
        made_with = key or tokens.subkey(self.link_key, tenant_id=tenant, purpose=purpose)
        return tokens.make(made_with, purpose=purpose, tenant_id=tenant, entry_id=self.entries[email], step_no=1)

    def click(self, email: str, link_no: int = 0) -> str:
        return f"/c/{self.token(email, Purpose.CLICK)}/{link_no}"

    def image(self, email: str) -> str:
        return f"/o/{self.token(email, Purpose.CLICK)}.gif"

    def way_out(self, email: str) -> str:
        return f"/u/{self.token(email, Purpose.UNSUBSCRIBE)}"

    def session(self) -> Session:
        return bound(self.engine, self.place)


def document_of(*, purpose: str = "marketing", topic: str | None = "newsletter", links: Sequence[str] = LINKS) -> bytes:
    step: dict[str, Any] = {
        "step_no": 1, "kind": "email", "name": "Winter boots", "channel_id": str(uuid7()), "channel": {}, "at": None,
        "content": {"subject": "Boots", "html": "<p>Boots</p>", "text": "Boots", "preheader": ""},
        "links": list(links), "used": [],
    }  # fmt: skip
    return canonical(
        {
            "format": 1, "kind": "dated", "purpose": purpose, "topic": topic, "audience": None, "payload": [],
            "workspace": {"name": "Northwind"}, "time_zone": "Europe/Oslo", "steps": [step],
        }
    )  # fmt: skip


def make_campaign(
    engine: sa.Engine, place: Place, vault: Vault, *, document: bytes | None = None, state: str = "active"
) -> Made:
    now, stored = SystemClock().now(), document or document_of()
    made = Made(engine, place, uuid7(), uuid7(), vault.link_key)
    tenant = place.tenant_id
    with made.session() as session:
        session.add(
            Campaign(
                tenant_id=tenant, campaign_id=made.campaign_id, project_id=place.project_id, name="Winter", kind="dated",
                description="", purpose="marketing", state=state, created_at=now, updated_at=now, version=1,
            )
        )  # fmt: skip
        session.flush()
        session.add(
            Revision(
                tenant_id=tenant, campaign_id=made.campaign_id, no=1, state="published", draft={"topic": "newsletter"},
                document=stored, content_hash=hash_of(stored), created_at=now, updated_at=now, version=1,
            )
        )  # fmt: skip
        session.add(new_run(made, made.run_id, stored))
        session.commit()
    return made


def new_run(made: Made, run_id: UUID, document: bytes, *, step_no: int = 1, revision_no: int = 1) -> Run:
    now = SystemClock().now()
    return Run(
        tenant_id=made.place.tenant_id, run_id=run_id, campaign_id=made.campaign_id, step_no=step_no, occurrence="",
        revision_no=revision_no, content_hash=hash_of(document), channel_id=uuid7(), channel_fingerprint={}, dated=True,
        planned_at=now, effective_at=now, started_at=now, state="running", facts={},
    )  # fmt: skip


def add_people(made: Made, emails: Sequence[str]) -> list[int]:
    """Contacts who gave consent, each with an entry; nothing is sent to them yet."""
    now, tenant = SystemClock().now(), made.place.tenant_id
    with made.session() as session:
        for email in emails:
            contact_id = uuid7()
            session.add(
                Contact(
                    tenant_id=tenant, contact_id=contact_id, email=email, email_key=email.casefold(), attributes={},
                    created_at=now, updated_at=now, version=1,
                )
            )  # fmt: skip
            session.flush()
            session.add(
                Consent(
                    tenant_id=tenant, contact_id=contact_id, topic="newsletter", status="given", source="api",
                    at=now - timedelta(days=3),
                )
            )  # fmt: skip
            entry_id = session.scalar(sa.select(ENTRY_IDS.next_value()))
            session.add(
                Entry(
                    tenant_id=tenant, entry_id=entry_id, campaign_id=made.campaign_id, occurrence="",
                    contact_id=contact_id, entry_key="", single=False, entered_at=now,
                )
            )  # fmt: skip
            made.entries[email], made.contacts[email] = entry_id, contact_id
        session.commit()
    return [made.entries[email] for email in emails]


def add_chunk(session: Session, made: Made, entry_ids: Sequence[int], state: str, *, run_id: UUID | None = None) -> int:
    no = session.scalar(sa.select(CHUNK_NOS.next_value()))
    session.add(
        Chunk(
            tenant_id=made.place.tenant_id, run_id=run_id or made.run_id, no=no, entry_ids=list(entry_ids),
            not_before=SystemClock().now(), state=state, token=1,
        )
    )  # fmt: skip
    session.flush()
    return no


def add_delivery(
    session: Session,
    made: Made,
    entry_id: int,
    chunk_no: int,
    *,
    exc: str | None = None,
    reason: str | None = None,
    run_id: UUID | None = None,
    step_no: int = 1,
) -> None:
    contact_id = session.scalars(sa.select(Entry.contact_id).where(Entry.entry_id == entry_id)).one()
    session.add(
        Delivery(
            tenant_id=made.place.tenant_id, entry_id=entry_id, step_no=step_no, run_id=run_id or made.run_id,
            chunk_no=chunk_no, contact_id=contact_id, token=1, attempt=1, exc=exc, reason=reason,
            claimed_at=SystemClock().now(),
        )
    )  # fmt: skip
    session.flush()


def send_to(made: Made, emails: Sequence[str]) -> None:
    """All of them accepted, in one closed chunk."""
    ids = add_people(made, emails)
    with made.session() as session:
        no = add_chunk(session, made, ids, "closed")
        for entry_id in ids:
            add_delivery(session, made, entry_id, no)
        session.commit()
