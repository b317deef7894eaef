"""Bodies as examples in the API's description, by endpoint. Each passes the schema that it stands beside."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final


def _id(prefix: str) -> str:
    return f"{prefix}_01h00000000000000000000000"


_HASH: Final = "v1:" + "0" * 64
_CONTENT: Final = {
    "subject": "Hello {{ contact.first_name }}",
    "html": '<p>Hello</p><p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p>',
    "text": "Hello\n{{ unsubscribe_url }}",
}
_DRAFT: Final = {
    "audience": {"audience_id": _id("aud")},
    "topic": "newsletter",
    "time_zone": "Europe/Oslo",
    "start": [1],
    "steps": [
        {
            "step_no": 1,
            "kind": "random_split",
            "name": "Two subjects",
            "at": "2026-12-01T09:00",
            "branches": [{"key": "a", "name": "A", "weight": 50}, {"key": "b", "name": "Nobody", "weight": 50}],
            "next": {"a": [2]},
        },
        {
            "step_no": 2,
            "kind": "email",
            "name": "Invitation",
            "at": "2026-12-01T09:00",
            "channel_id": _id("chn"),
            "content": _CONTENT,
            "next": {},
        },
    ],
}
_DECISION: Final = {"content_hash": _HASH, "comment": "Checked, and good to go."}
_DECISIONS: Final = {
    "decisions": [
        {"contact_id": _id("ctc"), "decision": "accepted", "fields": {"offer": "Ten off"}},
        {"contact_id": "ctc_01h00000000000000000000001", "decision": "rejected"},
    ]
}
_WEBHOOK: Final = {"name": "Shop", "url": "https://hooks.northwind.example/in", "rate_per_minute": 600}

EXAMPLES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "campaigns.create_campaign": {
            "name": "Black week",
            "project_id": _id("prj"),
            "kind": "flowing",
            "purpose": "marketing",
        },
        "campaigns.patch_campaign": {"name": "White week", "tags": ["winter"]},
        "campaigns.switch_start": {"kind": "api"},
        "campaigns.resume": {"overdue": "new_time", "start": "2026-12-01T14:00"},
        "campaigns.duplicate": {"name": "Black week, again"},
        "categories.create_category": {"name": "Season", "tone": "teal"},
        "categories.patch_category": {"archived": True},
        "templates.save_as_template": {"name": "Season opening"},
        "templates.patch_template": {"name": "Season opening, short"},
        "templates.import_template": {
            "format": 1,
            "name": "Season opening",
            "description": "",
            "kind": "dated",
            "purpose": "marketing",
            "draft": {"audience": {"list_id": _id("lst")}, "steps": []},
            "references": [{"id": _id("lst"), "name": "Customer club"}],
        },
        "revisions.save_draft": {"draft": _DRAFT},
        "revisions.submit": {"note": "The prices are those of Monday."},
        "revisions.approve": _DECISION,
        "revisions.publish": _DECISION,
        "revisions.request_changes": {**_DECISION, "comment": "Please name the date in the subject."},
        "revisions.reject": {**_DECISION, "comment": "Not this year."},
        "revisions.revoke": {**_DECISION, "comment": "The price is wrong."},
        "revisions.confirm": {**_DECISION, "people": 1200},
        "comments.add_comment": {"text": "Who is in the picture?"},
        "foresight.simulate": {
            "at": "2026-11-30T12:00:00Z",
            "people": [{"name": "Kari", "attributes": {"city": "Oslo"}}, {"name": "Ola", "consent": None}],
            "events": [{"person": "Kari", "what": "clicked", "step": 2, "after_minutes": 30}],
        },
        "foresight.dry_run": {"at": "2026-11-30T12:00:00Z"},
        "foresight.start_test": {"at": "2026-11-30T12:00:00Z"},
        "gates.decide": _DECISIONS,
        "gate_links.decide": _DECISIONS,
        "trigger.trigger": {
            "recipients": [
                {
                    "email": "kari@example.org",
                    "entry_key": "order-1001",
                    "context": {"reset_url": "https://id.northwind.example/r/1"},
                }
            ],
            "dry_run": False,
        },
        "events.record_events": {
            "events": [
                {
                    "name": "order.placed",
                    "email": "kari@example.org",
                    "id": "order-1001",
                    "occurred_at": "2026-11-30T12:00:00Z",
                    "properties": {"total": 59.5},
                }
            ]
        },
        "channels.create_hook": {**_WEBHOOK, "purpose": "marketing"},
        "channels.change_hook": _WEBHOOK,
        "channels.rotate_hook": {"overlap_hours": 24},
    }
)
