"""The three messages of the demo, as a person would write them into a draft."""

from pathlib import Path
from typing import Any, Final

_FOLDER: Final = Path(__file__).parent / "mails"

SHOP: Final = "https://shop.northwind.example/"
RESET_FIELDS: Final = (
    {"key": "reset_url", "kind": "text", "required": True},
    {"key": "minutes", "kind": "number", "required": True},
)


def autumn() -> dict[str, str]:
    """Return the newsletter of the first campaign."""
    return {
        "subject": '{{ contact.first_name | default: "Hello" }}, the autumn boots are here',
        "preheader": "A week before everybody else: the new Fjell boots.",
        **_parts("autumn"),
    }


def reset() -> dict[str, str]:
    """Return the password reset of the second campaign."""
    return {"subject": "Choose a new password", **_parts("reset")}


def reminder() -> dict[str, str]:
    """Return the invitation of the third campaign."""
    return {"subject": "An evening in the workshop, for twenty of us", **_parts("reminder")}


def draft(
    *,
    content: dict[str, str],
    channel_id: str,
    time_zone: str,
    audience: dict[str, str] | None = None,
    at: str | None = None,
) -> dict[str, Any]:
    """Return a draft with one message step. Without a time it starts on call, without asking for consent."""
    step = {"step_no": 1, "kind": "email", "name": "Message", "channel_id": channel_id, "at": at, "content": content}
    return {
        "audience": audience,
        "topic": "newsletter" if at else None,
        "time_zone": time_zone,
        "payload": {"fields": [] if at else list(RESET_FIELDS)},
        "steps": [step],
    }


def _parts(name: str) -> dict[str, str]:
    endings = {"html": "html", "text": "txt"}
    return {part: (_FOLDER / f"{name}.{end}").read_text(encoding="utf-8") for part, end in endings.items()}
