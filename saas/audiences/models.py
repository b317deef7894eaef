"""Attributes, lists, audiences, imports. Contacts and consents stand in the ledger."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from saas.audiences.types import AttributeKind, ImportState, Visibility
from saas.ledger.models import one_of
from saas.platform.db import Model, TenantScoped


class Attribute(TenantScoped, Model):
    """A registered attribute of contacts."""

    __tablename__ = "attribute"

    key: Mapped[str] = mapped_column(sa.Text(collation="C"), primary_key=True)
    label: Mapped[str]
    kind: Mapped[str]
    created_at: Mapped[datetime]

    __table_args__ = (
        one_of("kind", AttributeKind),
        sa.CheckConstraint("key ~ '^[a-z][a-z0-9_]{0,59}$'", name="key_form"),
    )


class ContactList(TenantScoped, Model):
    """A list of contacts in a project."""

    __tablename__ = "contact_list"

    list_id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID]
    name: Mapped[str]
    description: Mapped[str]
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"], ["project.tenant_id", "project.project_id"], ondelete="RESTRICT"
        ),
        sa.UniqueConstraint("tenant_id", "project_id", "name"),
    )


class ListMember(TenantScoped, Model):
    """A contact on a list.

    No foreign keys, as in the ledger (ledger/models.py): checking both costs more than half of an import. Whoever adds
    members has made or found the contacts and holds the list in the same transaction, and contacts outlive their
    erasure as empty rows. Whoever comes to delete a list deletes its members with it.
    """

    __tablename__ = "list_member"

    list_id: Mapped[UUID] = mapped_column(primary_key=True)
    contact_id: Mapped[UUID] = mapped_column(primary_key=True)
    added_at: Mapped[datetime]

    __table_args__ = (sa.Index("ix_list_member_tenant_id_contact_id", "tenant_id", "contact_id"),)


class Audience(TenantScoped, Model):
    """A segment: a rule over the contacts of a list. `rule` is the tree of audiences/rules/segment.py."""

    __tablename__ = "audience"

    audience_id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID]
    list_id: Mapped[UUID]
    name: Mapped[str]
    visibility: Mapped[str]
    rule: Mapped[dict[str, Any]]
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]
    last_count: Mapped[int | None]
    last_count_ms: Mapped[int | None]
    last_counted_at: Mapped[datetime | None]

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["tenant_id", "list_id"], ["contact_list.tenant_id", "contact_list.list_id"], ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"], ["project.tenant_id", "project.project_id"], ondelete="RESTRICT"
        ),
        sa.UniqueConstraint("tenant_id", "project_id", "name"),
        one_of("visibility", Visibility),
    )


class Import(TenantScoped, Model):
    """An import of a file into a list, with its progress and counts.

    position: how many rows are read and saved; an import that was interrupted goes on there.
    """

    __tablename__ = "import"

    import_id: Mapped[UUID] = mapped_column(primary_key=True)
    list_id: Mapped[UUID]
    file_id: Mapped[UUID | None]
    file_name: Mapped[str]
    mapping: Mapped[dict[str, Any]]
    state: Mapped[str]
    failure: Mapped[str | None]
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    done_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    position: Mapped[int] = mapped_column(sa.BigInteger)
    counts: Mapped[dict[str, Any]]
    error_file_id: Mapped[UUID | None]
    created_by: Mapped[UUID | None]
    created_key: Mapped[UUID | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["tenant_id", "list_id"], ["contact_list.tenant_id", "contact_list.list_id"], ondelete="RESTRICT"
        ),
        one_of("state", ImportState),
        sa.Index("ix_import_tenant_id_created_at", "tenant_id", "created_at"),
    )
