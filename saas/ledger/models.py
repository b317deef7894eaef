"""The tables that move people and messages; ledger.md is their definition.

The hot ones (entry, chunk, delivery, event) carry no foreign keys: a key check per row costs about as much as the
insert, and their ids only ever come from statements that read the row they refer to in the same transaction.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from saas.ledger.types import ChunkState, ConsentStatus, Exc, GateState, RunState, SuppressionReason, WaitStage
from saas.platform.db import Model, TenantScoped

ENTRY_IDS = sa.Sequence("entry_id_seq", cache=1000, metadata=Model.metadata)
CHUNK_TOKENS = sa.Sequence("chunk_token_seq", cache=1, metadata=Model.metadata)
CHUNK_NOS = sa.Sequence("chunk_no_seq", cache=1, metadata=Model.metadata)


def one_of(column: str, words: type[StrEnum]) -> sa.CheckConstraint:
    """Return the constraint that a column holds one of an enum's values."""
    return sa.CheckConstraint(f"{column} IN ({', '.join(repr(w.value) for w in words)})", name=f"{column}_known")


class Contact(TenantScoped, Model):
    """A person of a client. `email_key` is the address trimmed and case-folded, unique per workspace.

    attributes: registered attributes only, kept small (performance.md 6).
    address_hash: what stands in suppression lists for this address.
    """

    __tablename__ = "contact"

    contact_id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str | None]
    email_key: Mapped[str | None] = mapped_column(sa.Text(collation="C"))
    address_hash: Mapped[bytes | None]
    external_id: Mapped[str | None] = mapped_column(sa.Text(collation="C"))
    attributes: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]
    version: Mapped[int]

    __table_args__ = (
        sa.UniqueConstraint("tenant_id", "email_key"),
        sa.UniqueConstraint("tenant_id", "external_id"),
    )


class Consent(TenantScoped, Model):
    """A person's latest word on a topic."""

    __tablename__ = "consent"

    contact_id: Mapped[UUID] = mapped_column(primary_key=True)
    topic: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    source: Mapped[str]
    at: Mapped[datetime]

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["tenant_id", "contact_id"], ["contact.tenant_id", "contact.contact_id"], ondelete="CASCADE"
        ),
        one_of("status", ConsentStatus),
        sa.Index("ix_consent_tenant_id_at", "tenant_id", "at"),
    )


class Suppression(TenantScoped, Model):
    """An address that gets nothing, kept as a keyed hash so that it outlives the contact."""

    __tablename__ = "suppression"

    address_hash: Mapped[bytes] = mapped_column(primary_key=True)
    reason: Mapped[str]
    at: Mapped[datetime]

    __table_args__ = (one_of("reason", SuppressionReason), sa.Index("ix_suppression_tenant_id_at", "tenant_id", "at"))


class Event(TenantScoped, Model):
    """A fact about a person, once: its id is a hash of the source fact. Partitioned by month."""

    __tablename__ = "event"

    occurred_at: Mapped[datetime] = mapped_column(primary_key=True)
    event_id: Mapped[bytes] = mapped_column(primary_key=True)
    kind: Mapped[str]
    contact_id: Mapped[UUID]
    campaign_id: Mapped[UUID | None]
    entry_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    step_no: Mapped[int | None] = mapped_column(sa.SmallInteger)
    facts: Mapped[dict[str, Any]]

    __table_args__ = (
        sa.Index("ix_event_contact", "tenant_id", "contact_id", "kind", "occurred_at"),
        sa.Index("ix_event_campaign", "tenant_id", "campaign_id", "kind", "occurred_at"),
        {"postgresql_partition_by": "RANGE (occurred_at)"},
    )


class Entry(TenantScoped, Model):
    """One person's way through one campaign."""

    __tablename__ = "entry"

    entry_id: Mapped[int] = mapped_column(sa.BigInteger, ENTRY_IDS, primary_key=True, autoincrement=False)
    campaign_id: Mapped[UUID]
    occurrence: Mapped[str] = mapped_column(sa.Text(collation="C"))
    contact_id: Mapped[UUID]
    entry_key: Mapped[str] = mapped_column(sa.Text(collation="C"))
    single: Mapped[bool]
    context: Mapped[dict[str, Any] | None]
    entered_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None]

    __table_args__ = (
        sa.UniqueConstraint("tenant_id", "campaign_id", "occurrence", "contact_id", "entry_key", name="uq_entry_way"),
        sa.Index(
            "uq_entry_single",
            "tenant_id",
            "campaign_id",
            "contact_id",
            unique=True,
            postgresql_where=sa.text("single AND ended_at IS NULL"),
        ),
        # For retention: what a call sent along is forgotten after 90 days. Cohorts have none and stand not in it.
        sa.Index("ix_entry_context", "tenant_id", "entered_at", postgresql_where=sa.text("context IS NOT NULL")),
    )


class Passage(TenantScoped, Model):
    """Which exit a person took where the way divides; append-only, the proof behind "why"."""

    __tablename__ = "passage"

    entry_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    step_no: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    exit: Mapped[str]
    at: Mapped[datetime]
    facts: Mapped[dict[str, Any]]


class Wait(TenantScoped, Model):
    """Where an entry stands: it came, waits for a time or a fact, or something about it is on its way.

    Of cohorts only who waits for another system's word or answer. facts: what is known by now (a gate's fields).
    """

    __tablename__ = "wait"

    entry_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    step_no: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    campaign_id: Mapped[UUID]
    contact_id: Mapped[UUID]
    due_at: Mapped[datetime]
    listens: Mapped[dict[str, Any] | None]
    answer: Mapped[str | None]
    stage: Mapped[str] = mapped_column(server_default=sa.text("'arrived'"))
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))

    __table_args__ = (
        one_of("stage", WaitStage),
        sa.Index("ix_wait_due", "tenant_id", "campaign_id", "step_no", "due_at"),
        sa.Index("ix_wait_listens", "tenant_id", "contact_id", postgresql_where=sa.text("listens IS NOT NULL")),
    )


class Gate(TenantScoped, Model):
    """People who wait for another system's word, handed over together (R6).

    They are those whose `wait.listens` names it. told_at: when the other system was told; closed_at: when it released
    them, or when its time was over.
    """

    __tablename__ = "gate"

    gate_id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID]
    step_no: Mapped[int] = mapped_column(sa.SmallInteger)
    revision_no: Mapped[int]
    state: Mapped[str]
    opened_at: Mapped[datetime]
    deadline_at: Mapped[datetime]
    told_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        one_of("state", GateState),
        sa.Index("ix_gate_campaign", "tenant_id", "campaign_id", "step_no", "opened_at"),
    )


class FlowMember(TenantScoped, Model):
    """Who matches a flowing campaign's audience, as of its last update: coming and leaving are a diff of it (M21)."""

    __tablename__ = "flow_member"

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    contact_id: Mapped[UUID] = mapped_column(primary_key=True)
    since: Mapped[datetime]


class Run(TenantScoped, Model):
    """One execution of a dated step of any kind, or the open run of a message step where people have their own times.

    channel_id, channel_fingerprint: of messages. leads_on: a step follows, so whoever settles wakes the flow.
    """

    __tablename__ = "run"

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID]
    step_no: Mapped[int] = mapped_column(sa.SmallInteger)
    occurrence: Mapped[str] = mapped_column(sa.Text(collation="C"))
    revision_no: Mapped[int]
    content_hash: Mapped[str]
    channel_id: Mapped[UUID | None]
    channel_fingerprint: Mapped[dict[str, Any] | None]
    dated: Mapped[bool]
    leads_on: Mapped[bool] = mapped_column(server_default=sa.text("false"))
    planned_at: Mapped[datetime | None]
    effective_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    state: Mapped[str]
    facts: Mapped[dict[str, Any]]

    __table_args__ = (
        one_of("state", RunState),
        sa.Index(
            "uq_run_dated",
            "tenant_id",
            "campaign_id",
            "step_no",
            "occurrence",
            unique=True,
            postgresql_where=sa.text("dated AND state <> 'cancelled'"),
        ),
        sa.Index(
            "uq_run_open",
            "tenant_id",
            "campaign_id",
            "step_no",
            "revision_no",
            unique=True,
            postgresql_where=sa.text("NOT dated AND state IN ('planned', 'running', 'held')"),
        ),
    )


class Chunk(TenantScoped, Model):
    """At most 500 people of a run, in order of contact id, handed over together."""

    __tablename__ = "chunk"

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    no: Mapped[int] = mapped_column(sa.BigInteger, CHUNK_NOS, primary_key=True, autoincrement=False)
    entry_ids: Mapped[list[int]] = mapped_column(ARRAY(sa.BigInteger))
    not_before: Mapped[datetime]
    state: Mapped[str]
    owner: Mapped[UUID | None]
    token: Mapped[int | None] = mapped_column(sa.BigInteger)
    deaths: Mapped[int] = mapped_column(sa.SmallInteger, server_default=sa.text("0"))
    retry: Mapped[bool] = mapped_column(server_default=sa.text("false"))

    __table_args__ = (
        one_of("state", ChunkState),
        sa.Index(
            "ix_chunk_open",
            "tenant_id",
            "run_id",
            "not_before",
            "no",
            postgresql_where=sa.text("state IN ('pending', 'claimed')"),
        ),
    )


class Delivery(TenantScoped, Model):
    """One person at one message step. The primary key is the gate: who gets no row back must not send."""

    __tablename__ = "delivery"

    entry_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    step_no: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    run_id: Mapped[UUID]
    chunk_no: Mapped[int] = mapped_column(sa.BigInteger)
    contact_id: Mapped[UUID]
    token: Mapped[int] = mapped_column(sa.BigInteger)
    attempt: Mapped[int] = mapped_column(sa.SmallInteger)
    exc: Mapped[str | None]
    reason: Mapped[str | None]
    merge: Mapped[dict[str, Any] | None]
    claimed_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]

    __table_args__ = (
        one_of("exc", Exc),
        sa.Index("ix_delivery_contact", "tenant_id", "contact_id", "claimed_at"),
        # For retention: kept values are forgotten after 30 days. Marketing keeps none and stands not in it.
        sa.Index("ix_delivery_merge", "tenant_id", "claimed_at", postgresql_where=sa.text("merge IS NOT NULL")),
    )
