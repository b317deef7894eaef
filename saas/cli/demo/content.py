"""The messages and the flow of the demo, as a person would write them into a draft."""

from pathlib import Path
from typing import Any, Final

_FOLDER: Final = Path(__file__).parent / "mails"

POINTS: Final = 10
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


def welcome() -> dict[str, str]:
    """Return the first message of the flow."""
    return {"subject": 'Welcome to the club, {{ contact.first_name | default: "walker" }}', **_parts("welcome")}


def nudge(subject: str) -> dict[str, str]:
    """Return the message to those who have not looked around, under one of its subjects."""
    return {"subject": subject, **_parts("nudge")}


def flow(*, channel_id: str, list_id: str, time_zone: str) -> dict[str, Any]:
    """Return the draft of a flow: a welcome, points for who clicks, after two days one of two nudges to the rest."""

    def message(no: int, name: str, content: dict[str, str], following: list[int]) -> dict[str, Any]:
        step = {"step_no": no, "kind": "email", "name": name, "channel_id": channel_id, "content": content}
        return {**step, "next": {"sent": following} if following else {}}

    halves = [{"key": "a", "name": "A question", "weight": 50}, {"key": "b", "name": "A present", "weight": 50}]
    return {
        "audience": {"list_id": list_id},
        "topic": "newsletter",
        "time_zone": time_zone,
        "entry": {"leaving": "stay", "re_entry": "never", "every_minutes": 5},
        "start": [1],
        "steps": [
            message(1, "Welcome", welcome(), [2]),
            {
                "step_no": 2,
                "kind": "decision",
                "name": "Looks around within two days",
                "on": "clicked",
                "message": 1,
                "within_minutes": 2 * 24 * 60,
                "next": {"yes": [3], "no": [4]},
            },
            {"step_no": 3, "kind": "change_points", "name": "Ten points", "points": POINTS, "next": {}},
            {
                "step_no": 4,
                "kind": "wait",
                "name": "Until the morning",
                "for": "local_hour",
                "time": "09:00",
                "next": {"done": [5]},
            },
            {
                "step_no": 5,
                "kind": "random_split",
                "name": "Two subjects",
                "branches": halves,
                "next": {"a": [6], "b": [7]},
            },
            message(6, "Nudge, a question", nudge("Have you looked around?"), []),
            message(7, "Nudge, a present", nudge("A present waits for you"), []),
        ],
    }


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
