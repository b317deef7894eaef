"""What a campaign hands on to another that it starts: the payload that was sent along, by the fields of both (M27)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from saas.campaigns import queries


def not_handed_on(session: Session, campaign_id: UUID, *, given: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the fields, with their kind, that a campaign requires and that a payload of `given` fields may lack.

    Of the campaign counts what is published; of one that never was, its newest draft.
    """
    sure = {(field["key"], field["kind"]) for field in given if field["required"]}
    return [
        f"“{field['key']}” ({field['kind']})"
        for field in _payload(session, campaign_id)
        if field["required"] and (field["key"], field["kind"]) not in sure
    ]


def _payload(session: Session, campaign_id: UUID) -> Sequence[Mapping[str, Any]]:
    signed = queries.published(session, campaign_id)
    if signed is not None and signed.document:
        found: Sequence[Mapping[str, Any]] = json.loads(signed.document)["payload"]
        return found
    newest = queries.newest_revisions(session, [campaign_id]).get(campaign_id)
    return (newest.draft.get("payload") or {}).get("fields") or [] if newest is not None else []
