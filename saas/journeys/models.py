"""Tables of journeys: files of calls."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from saas.journeys.types import CallFileState
from saas.ledger.models import one_of
from saas.platform.db import Model, TenantScoped


class CallFile(TenantScoped, Model):
    """A file of calls of one campaign, with its progress and its counts (R5.8).

    size_bytes: of the file as it is read, unpacked. done_bytes, position: the bytes and lines that are answered; both
    move in the transaction that enters the people of those lines. counts: lines, and how many had which answer.
    detail: why it waits, or why it failed. error_file_id: every line that was not accepted, in JSON Lines.
    """

    __tablename__ = "call_file"

    call_file_id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID]
    file_id: Mapped[UUID | None]
    file_name: Mapped[str]
    state: Mapped[str]
    detail: Mapped[str | None]
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
            ["tenant_id", "campaign_id"], ["campaign.tenant_id", "campaign.campaign_id"], ondelete="CASCADE"
        ),
        one_of("state", CallFileState),
        sa.Index("ix_call_file_campaign", "tenant_id", "campaign_id", "call_file_id"),
    )
