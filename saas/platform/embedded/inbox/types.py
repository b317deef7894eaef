from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message as it came in: the envelope, and the bytes that stood between DATA and the final dot.

    `received_at` is the moment (UTC) its last byte was there; it is written to disk after that and then answered.
    """

    received_at: datetime
    mail_from: str
    rcpt_to: tuple[str, ...]
    content: bytes


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known of a kept message without opening it. `headers_campaign` is its X-Campaign-Id header."""

    id: int
    received_at: datetime
    mail_from: str
    rcpt_to: tuple[str, ...]
    message_id: str | None
    subject: str
    headers_campaign: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the form in which the API and the file on disk carry it."""
        return {
            "id": self.id,
            "received_at": self.received_at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "mail_from": self.mail_from,
            "rcpt_to": list(self.rcpt_to),
            "message_id": self.message_id,
            "subject": self.subject,
            "headers_campaign": self.headers_campaign,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Summary":
        """Return the summary that to_json wrote. Raises KeyError or ValueError for anything else."""
        return cls(
            id=int(value["id"]),
            received_at=datetime.fromisoformat(value["received_at"]),
            mail_from=value["mail_from"],
            rcpt_to=tuple(value["rcpt_to"]),
            message_id=value["message_id"],
            subject=value["subject"],
            headers_campaign=value["headers_campaign"],
        )


@dataclass(frozen=True, slots=True)
class Content:
    """An opened message: decoded headers in their order, and its first text and HTML parts, None if it has none."""

    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None


class InboxError(Exception):
    """The inbox cannot run here; the text says why."""
