"""Campaigns, revisions, who edited, who decided."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from saas.campaigns.types import CampaignKind, CampaignState, Decision, RevisionState
from saas.channels.types import Purpose
from saas.ledger.models import one_of
from saas.platform.db import Model, TenantScoped


class Campaign(TenantScoped, Model):
    """A campaign. No counter lives in this row: claims read it FOR SHARE (ledger.md, stop)."""

    __tablename__ = "campaign"

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID]
    name: Mapped[str]
    description: Mapped[str]
    kind: Mapped[str]
    purpose: Mapped[str]
    state: Mapped[str]
    stop_epoch: Mapped[int] = mapped_column(server_default=sa.text("0"))
    held_reason: Mapped[str | None]
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"], ["project.tenant_id", "project.project_id"], ondelete="RESTRICT"
        ),
        one_of("kind", CampaignKind),
        one_of("purpose", Purpose),
        one_of("state", CampaignState),
        sa.Index("ix_campaign_tenant_id_created_at", "tenant_id", "created_at"),
    )


class Revision(TenantScoped, Model):
    """One version of what a campaign does.

    draft: what people edit; document: canonical bytes (RFC 8785) built at submission, the only thing the engine reads.
    content_hash: "v1:" + sha256(document), what approvers sign (U1).
    planned_at: the first step's time as its author chose it; effective_at: what the five-minute rule made of it (R1).
    """

    __tablename__ = "revision"

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[str]
    draft: Mapped[dict[str, Any]]
    document: Mapped[bytes | None]
    content_hash: Mapped[str | None]
    audience_count: Mapped[int | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    submitted_by: Mapped[UUID | None]
    planned_at: Mapped[datetime | None]
    published_at: Mapped[datetime | None]
    effective_at: Mapped[datetime | None]
    version: Mapped[int]

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id"], ["campaign.tenant_id", "campaign.campaign_id"], ondelete="CASCADE"
        ),
        one_of("state", RevisionState),
        sa.Index(
            "uq_revision_open",
            "tenant_id",
            "campaign_id",
            unique=True,
            postgresql_where=sa.text("state IN ('editing', 'in_review', 'changes_requested', 'approved')"),
        ),
        sa.Index(
            "uq_revision_published",
            "tenant_id",
            "campaign_id",
            unique=True,
            postgresql_where=sa.text("state = 'published'"),
        ),
    )


class RevisionEditor(TenantScoped, Model):
    """Who edited a revision, in person or by a key they made; they never count as its approvers (R13)."""

    __tablename__ = "revision_editor"

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id", "no"],
            ["revision.tenant_id", "revision.campaign_id", "revision.no"],
            ondelete="CASCADE",
        ),
    )


class Approval(TenantScoped, Model):
    """A decision over one exact hash. The application may insert and read decisions, nothing else."""

    __tablename__ = "approval"

    approval_id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID]
    revision_no: Mapped[int]
    account_id: Mapped[UUID]
    decision: Mapped[str]
    content_hash: Mapped[str]
    comment: Mapped[str]
    facts: Mapped[dict[str, Any]]
    at: Mapped[datetime]

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id", "revision_no"],
            ["revision.tenant_id", "revision.campaign_id", "revision.no"],
            ondelete="RESTRICT",
        ),
        one_of("decision", Decision),
        sa.Index("ix_approval_revision", "tenant_id", "campaign_id", "revision_no", "at"),
    )
