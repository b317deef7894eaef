"""Campaigns, revisions, who edited, who decided."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from saas.campaigns.types import CampaignKind, CampaignState, Decision, RequestState, RevisionState
from saas.channels.types import Purpose
from saas.ledger.models import one_of
from saas.platform.db import Model, TenantScoped


class Campaign(TenantScoped, Model):
    """A campaign. No counter lives in this row: claims read it FOR SHARE (ledger.md, stop).

    held_part: which part is not what was signed, a word of `Part`; held_facts: what was found of it.
    tags: what policies ask for; no part of the hash. entry_event: by which event people come in (published flows).
    category_id: how it is sorted (M11), no part of the hash either.
    archived_from: the state that an archived campaign had, to which it can be brought back; null in any other state.
    """

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
    held_part: Mapped[str | None]
    held_facts: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    tags: Mapped[list[str]] = mapped_column(ARRAY(sa.Text()), server_default=sa.text("'{}'"))
    category_id: Mapped[UUID | None]
    archived_from: Mapped[str | None]
    entry_event: Mapped[str | None]
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
        sa.ForeignKeyConstraint(
            ["tenant_id", "category_id"], ["category.tenant_id", "category.category_id"], ondelete="RESTRICT"
        ),
        one_of("kind", CampaignKind),
        one_of("purpose", Purpose),
        one_of("state", CampaignState),
        sa.CheckConstraint("archived_from IN ('draft', 'stopped', 'completed')", name="archived_from_known"),
        sa.Index("ix_campaign_tenant_id_created_at", "tenant_id", "created_at"),
        sa.Index("ix_campaign_category", "tenant_id", "category_id"),
        sa.Index(
            "ix_campaign_entry_event", "tenant_id", "entry_event", postgresql_where=sa.text("entry_event IS NOT NULL")
        ),
    )


class Revision(TenantScoped, Model):
    """One version of what a campaign does.

    draft: what people edit; document: canonical bytes (RFC 8785) built at submission, the only thing the engine reads.
    content_hash: "v1:" + sha256(document), what approvers sign (U1).
    planned_at: the first step's time as its author chose it; effective_at: what the five-minute rule made of it (R1).
    not_before: before this moment no step begins that had not begun when it was published, or resumed (R1, R9).
    skip_before: steps planned before this moment that have not begun are passed over (R9, resume).
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
    not_before: Mapped[datetime | None]
    skip_before: Mapped[datetime | None]
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


class ApprovalPolicy(TenantScoped, Model):
    """A version of the approval rules of a workspace (project_id null) or a project; the highest one holds (U3).

    rules: as `rules.policy.rule_as_json` writes them. The application may insert and read versions, nothing else.
    """

    __tablename__ = "approval_policy"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID | None]
    version: Mapped[int]
    rules: Mapped[list[dict[str, Any]]] = mapped_column(JSONB())
    made_by: Mapped[UUID | None]
    made_at: Mapped[datetime]

    __table_args__ = (
        sa.UniqueConstraint("tenant_id", "project_id", "version", postgresql_nulls_not_distinct=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"], ["project.tenant_id", "project.project_id"], ondelete="RESTRICT"
        ),
    )


class OutsideApprover(TenantScoped, Model):
    """Somebody without an account whom administrators allow to sign by mail (U8).

    The address counts once it is confirmed, and no longer once it is revoked. code_hash: of the code word that they
    were told by another way than mail; links ask for it where the policy says so.
    """

    __tablename__ = "outside_approver"

    outside_id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    name: Mapped[str]
    listed_by: Mapped[UUID | None]
    listed_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    code_hash: Mapped[str | None]
    code_set_at: Mapped[datetime | None]

    __table_args__ = (
        sa.Index(
            "uq_outside_approver_email",
            "tenant_id",
            "email",
            unique=True,
            postgresql_where=sa.text("revoked_at IS NULL"),
        ),
    )


class ApprovalRequest(TenantScoped, Model):
    """A request for approval: what was asked of whom for one exact hash, and what became of it.

    requirement, facts: as they were resolved at the submission, in the form of `rules.policy`. counted: the approvals
    that met the requirement; every claim looks whether each of them still stands. deadline: when signatures are due.
    document: what was signed, kept when an edit made it void.
    """

    __tablename__ = "approval_request"

    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID]
    revision_no: Mapped[int]
    project_id: Mapped[UUID]
    content_hash: Mapped[str]
    requirement: Mapped[dict[str, Any]]
    facts: Mapped[dict[str, Any]]
    policy_id: Mapped[UUID | None]
    asked_by: Mapped[UUID | None]
    asked_at: Mapped[datetime]
    note: Mapped[str]
    deadline: Mapped[datetime | None]
    state: Mapped[str]
    counted: Mapped[list[UUID]] = mapped_column(ARRAY(sa.Uuid()), server_default=sa.text("'{}'"))
    reminded_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    document: Mapped[bytes | None]

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id", "revision_no"],
            ["revision.tenant_id", "revision.campaign_id", "revision.no"],
            ondelete="RESTRICT",
        ),
        one_of("state", RequestState),
        sa.Index(
            "uq_approval_request_live",
            "tenant_id",
            "campaign_id",
            "revision_no",
            unique=True,
            postgresql_where=sa.text("state IN ('open', 'approved')"),
        ),
        sa.Index("ix_approval_request_asked", "tenant_id", "asked_at"),
    )


class Comment(TenantScoped, Model):
    """What somebody said about a campaign, pinned to a step or not. Written once, part of the record."""

    __tablename__ = "comment"

    comment_id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID]
    revision_no: Mapped[int]
    step_no: Mapped[int | None]
    account_id: Mapped[UUID]
    text: Mapped[str]
    mentions: Mapped[list[UUID]] = mapped_column(ARRAY(sa.Uuid()), server_default=sa.text("'{}'"))
    at: Mapped[datetime]

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id", "revision_no"],
            ["revision.tenant_id", "revision.campaign_id", "revision.no"],
            ondelete="CASCADE",
        ),
        sa.Index("ix_comment_campaign", "tenant_id", "campaign_id", "at"),
    )


class Approval(TenantScoped, Model):
    """A decision over one exact hash, by an account or by an outside approver.

    request_id: the request that it answers; null in decisions from before there were requests. The application may
    insert and read decisions, nothing else.
    """

    __tablename__ = "approval"

    approval_id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID]
    revision_no: Mapped[int]
    account_id: Mapped[UUID | None]
    outside_id: Mapped[UUID | None]
    request_id: Mapped[UUID | None]
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
        sa.CheckConstraint("num_nonnulls(account_id, outside_id) = 1", name="one_signer"),
        sa.Index("ix_approval_revision", "tenant_id", "campaign_id", "revision_no", "at"),
    )


class ApprovalLink(TenantScoped, Model):
    """A mailed link of an outside approver (U8): to decide once about one exact hash, or to confirm their address.

    request_id, campaign_id, revision_no, content_hash: what it is about, all null for a confirmation. token_hash: of
    the newest mail's token, the only one that works. used_for: the decision; signed_as: the name that they typed.
    replaced_at: since when a newer link stands in its place. pass_hash, pass_until: of the browser in which the code
    word was right, and how long it counts.
    """

    __tablename__ = "approval_link"

    link_id: Mapped[UUID] = mapped_column(primary_key=True)
    outside_id: Mapped[UUID]
    request_id: Mapped[UUID | None]
    campaign_id: Mapped[UUID | None]
    revision_no: Mapped[int | None]
    content_hash: Mapped[str | None]
    token_hash: Mapped[bytes | None]
    made_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    used_for: Mapped[str | None]
    signed_as: Mapped[str | None]
    replaced_at: Mapped[datetime | None]
    pass_hash: Mapped[bytes | None]
    pass_until: Mapped[datetime | None]

    __table_args__ = (
        sa.CheckConstraint("num_nonnulls(request_id, campaign_id, revision_no, content_hash) IN (0, 4)", name="whole"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "outside_id"],
            ["outside_approver.tenant_id", "outside_approver.outside_id"],
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "request_id"],
            ["approval_request.tenant_id", "approval_request.request_id"],
            ondelete="RESTRICT",
        ),
        sa.Index(
            "uq_approval_link_request",
            "tenant_id",
            "request_id",
            "outside_id",
            unique=True,
            postgresql_where=sa.text("request_id IS NOT NULL AND replaced_at IS NULL"),
        ),
    )
