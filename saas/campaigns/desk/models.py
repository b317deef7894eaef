"""Categories of campaigns, and templates that campaigns are begun with."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from saas.campaigns.types import Tone
from saas.channels.types import Purpose
from saas.ledger.models import one_of
from saas.platform.db import Model, TenantScoped


class Category(TenantScoped, Model):
    """A word that a workspace sorts its campaigns by (M11); a campaign has at most one.

    archived_at: since when it is not offered any more; campaigns that have it keep it.
    """

    __tablename__ = "category"

    category_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    tone: Mapped[str]
    made_by: Mapped[UUID | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]
    version: Mapped[int]

    __table_args__ = (sa.UniqueConstraint("tenant_id", "name"), one_of("tone", Tone))


class CampaignTemplate(TenantScoped, Model):
    """A draft that was kept to begin campaigns with.

    kind: a word of `CampaignKind`. draft: as that of a revision; what it names may be gone by the time it is used.
    """

    __tablename__ = "campaign_template"

    template_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[str]
    kind: Mapped[str]
    purpose: Mapped[str]
    draft: Mapped[dict[str, Any]] = mapped_column(JSONB())
    made_by: Mapped[UUID | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]

    __table_args__ = (one_of("purpose", Purpose),)
