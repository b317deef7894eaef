"""Foresee a very large audience by an even part of it: chosen by a hash, played like everybody, scaled up (U6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.models import ListMember
from saas.audiences.queries.segment import steady_plans
from saas.campaigns.rules.document import Document, canonical, hash_of, read
from saas.campaigns.service.people import audience_of, count_audience
from saas.campaigns.types import CampaignKind
from saas.platform.db import bound_tenant
from saas.reports.service.stage import Stage

MOST: Final = 200_000  # so many people are all counted
MOST_ON_THEIR_OWN: Final = 20_000  # in a flowing campaign, where each has a time of their own
_PARTS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Sample:
    """Of an audience of so many people, the people of that many parts of 65,536 are played."""

    audience: int
    parts: int

    def slowed(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return a document whose speeds are so much less that the part takes as long as everybody would."""

        def less(found: Mapping[str, Any]) -> dict[str, Any]:
            speed = found.get("speed_per_hour")
            return {**found, "speed_per_hour": max(1, round(speed * self.parts / _PARTS))} if speed else dict(found)

        settings = document.get("settings")
        steps = [less(step) for step in document["steps"]]
        return {**document, "steps": steps} | ({"settings": less(settings)} if settings else {})


def sample_of(session: Session, document: Mapping[str, Any]) -> Sample | None:
    """Return which part of a document's audience is to be played; None where that is everybody."""
    audience = count_audience(session, _read(document)) or 0
    most = MOST_ON_THEIR_OWN if document["kind"] == CampaignKind.FLOWING.value else MOST
    return Sample(audience, max(1, _PARTS * most // audience)) if audience > most else None


def put_in(session: Session, stage: Stage, sample: Sample, document: Mapping[str, Any]) -> int:
    """Put the part on the rehearsal's own list. Returns how many people those are."""
    people = audience_of(session, _read(document))
    if people is None or stage.list_id is None:
        return 0
    members = people.subquery("members")
    contact_id: sa.ColumnElement[Any] = members.c.contact_id
    digest = sa.func.sha256(sa.func.uuid_send(contact_id))
    place = sa.func.get_byte(digest, 0) * 256 + sa.func.get_byte(digest, 1)
    rows = sa.select(
        sa.literal(bound_tenant(session)), sa.literal(stage.list_id), contact_id, sa.literal(stage.campaign.created_at)
    ).where(place < sample.parts)
    with steady_plans(session):
        done = session.execute(
            sa.insert(ListMember).from_select(
                ["tenant_id", "list_id", "contact_id", "added_at"], rows, include_defaults=False
            ),
            execution_options={"preserve_rowcount": True},
        )
    return int(getattr(done, "rowcount"))  # noqa: B009  only results of cursors have it, so its type does not name it


def _read(document: Mapping[str, Any]) -> Document:
    stored = canonical(dict(document))
    return read(stored, expected_hash=hash_of(stored))
