"""A generated example call of a campaign that starts on call: its declared payload with plausible values (U13)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Session

from saas.campaigns import queries as campaigns
from saas.campaigns.types import CampaignKind
from saas.kernel.errors import Conflict
from saas.kernel.ids import show
from saas.permissions.types import Actor
from saas.reports.service.cast import example_context
from saas.reports.service.ways import present

# Each run is a call of its own; who repeats one after a lost answer sends the same key again.
_CURL: Final = """curl --fail-with-body -X POST '{url}' \\
  -H "Authorization: Bearer $COUNTERSIGN_KEY" \\
  -H 'Content-Type: application/json' \\
  -H "Idempotency-Key: call-$(date +%s)" \\
  --data-binary @- <<'JSON'
{body}
JSON
"""
_PYTHON: Final = """import json
import os
import urllib.request
import uuid

body = json.loads(r'''
{body}
''')
call = urllib.request.Request(
    "{url}",
    data=json.dumps(body).encode(),
    headers={{
        "Authorization": f"Bearer {{os.environ['COUNTERSIGN_KEY']}}",
        "Content-Type": "application/json",
        "Idempotency-Key": str(uuid.uuid4()),
    }},
    method="POST",
)
with urllib.request.urlopen(call) as answer:
    print(json.load(answer))
"""


class NotCalled(Conflict):
    """Only a campaign that starts on call has calls."""

    code = "not_called"


@dataclass(frozen=True, slots=True)
class ExampleCall:
    """A call ready to be copied. The key is read from the environment; it stands in no example."""

    url: str
    body: Mapping[str, Any]
    curl: str
    python: str


def example_call(session: Session, *, actor: Actor, campaign_id: UUID, public_url: str) -> ExampleCall:
    """Return a call that this campaign would take, rehearsed first (dry_run). Raises NotFound, NotCalled."""
    campaign = campaigns.campaign(session, actor=actor, campaign_id=campaign_id)
    if CampaignKind(campaign.kind) is not CampaignKind.API:
        raise NotCalled("This campaign starts by itself, not by a call.")
    context = example_context(declared(session, campaign_id))
    recipient = {"email": "kari@example.org", "entry_key": "order-4711", "context": context}
    body = {"dry_run": True, "recipients": [recipient]}
    url = f"{public_url}/api/v1/campaigns/{show('cam', campaign_id)}/trigger"
    text = json.dumps(body, indent=2, ensure_ascii=False)
    return ExampleCall(url, body, _CURL.format(url=url, body=text), _PYTHON.format(url=url, body=text))


def declared(session: Session, campaign_id: UUID) -> Sequence[Mapping[str, Any]]:
    """Return the fields that calls send along: as they are published, else as the newest draft declares them."""
    document = present(session, campaign_id)
    if document is not None:
        return document.payload
    newest = campaigns.newest_revisions(session, [campaign_id])[campaign_id]
    found: Sequence[Mapping[str, Any]] = (newest.draft.get("payload") or {}).get("fields", [])
    return found
