"""Short words for writing flows down in tests. Moments without a zone are UTC; the campaign's zone is UTC too."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tests.reference.flow.life import play
from tests.reference.flow.words import Fact, Manner, Passed, Person, Published, Script, Settled, Times, Told, Way

DAY = "2026-12-01"
PROMPT = Manner()


def at(clock: str, day: str = DAY) -> datetime:
    """Return a moment of the day: at("10:01"), at("10:01:30")."""
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC)


def wall(clock: str | None, day: str = DAY) -> str | None:
    """Return a wall time of the day."""
    return f"{day}T{clock}" if clock else None


def step(number: int, kind: str, clock: str | None = None, to: Any = None, **own: Any) -> dict[str, Any]:
    """Return a step. to: exits and where they lead, or, for the only exit, the numbers."""
    only = {"email": "sent", "webhook_message": "sent"}.get(kind, "done")
    ways = to if isinstance(to, Mapping) else {only: to} if to else {}
    time = clock if clock is None or "T" in clock else wall(clock)
    found = {"step_no": number, "kind": kind, "name": kind, "at": time, **own}
    return {**found, "next": {way: list(numbers) for way, numbers in ways.items()}}


def email(number: int, clock: str | None = None, to: Any = None, **own: Any) -> dict[str, Any]:
    """Return a message step."""
    return step(number, "email", clock, to, channel_id="chn_mail", **own)


def gate(number: int, clock: str | None = None, to: Any = None, **own: Any) -> dict[str, Any]:
    """Return a gate that waits for an hour at most."""
    return step(
        number, "gate", clock, to,
        **{"channel_id": "chn_hook", "delivers": True, "wait": True, "timeout_minutes": 60, **own},
    )  # fmt: skip


def halves(
    number: int, clock: str | None = None, to: Any = None, weights: Sequence[float] = (50, 50)
) -> dict[str, Any]:
    """Return a random split into a, b, …"""
    branches = [{"key": "abcdefgh"[no], "name": "abcdefgh"[no], "weight": each} for no, each in enumerate(weights)]
    return step(number, "random_split", clock, to, branches=branches)


def campaign(
    *steps: Mapping[str, Any], kind: str = "dated", start: Sequence[int] | None = None, **more: Any
) -> dict[str, Any]:
    """Return a campaign of Northwind Outdoor."""
    flow: dict[str, Any] = {"steps": list(steps)}
    if start is not None:
        flow["start"] = list(start)
    return {
        "kind": kind, "zone": "UTC", "salt": "0a" * 16, "flow": flow, "settings": {"conversion": {"event": "bought"}},
        "attributes": {"plan": "text", "orders": "number", "birthday": "date", "points": "number", "seen": "datetime"},
        "audiences": {"aud_pro": {"list_id": None, "rule": {"attribute": "plan", "op": "eq", "value": "pro"}},
                      "aud_all": {"list_id": None, "rule": {"all": []}}},
        **({"entry": {"audience": "aud_all"}} if kind == "flowing" else {}),
        **more,
    }  # fmt: skip


def people(count: int, **attributes: Any) -> list[Person]:
    """Return people 1 to count, each with these attributes; their contacts are in this order."""
    return [Person(no, f"{no:08}", dict(attributes)) for no in range(1, count + 1)]


def live(
    given: Mapping[str, Any],
    who: Iterable[Person],
    *facts: Fact,
    published: datetime | None = None,
    until: datetime | None = None,
    manner: Manner | None = PROMPT,
    **more: Any,
) -> Told:
    """Live a life that begins with the publication at 08:00 and lasts 30 days."""
    all_facts = [Published(published or at("08:00")), *facts]
    return play(given, who, Script(all_facts, until or at("08:00", "2026-12-31"), manner=manner, **more))


def settled(number: int, clock: str, *entry_ids: int, outcome: str = "accepted") -> list[Settled]:
    """Return what the provider said about a message to several people."""
    return [Settled(at(clock), entry_id, number, outcome) for entry_id in entry_ids]


def times(told: Told, number: int, occurrence: str = "") -> Times:
    """Return the times of a dated step."""
    return next(each for each in told.steps if each.step_no == number and each.occurrence.startswith(occurrence))


def way(told: Told, entry_id: int) -> Way:
    """Return somebody's way."""
    return next(each for each in told.ways if each.entry_id == entry_id)


def walked(told: Told, entry_id: int) -> list[tuple[int, str | None]]:
    """Return somebody's steps and exits."""
    return [(each.step_no, each.exit) for each in way(told, entry_id).path]


def passed(told: Told, entry_id: int, number: int) -> Passed:
    """Return how somebody passed a step."""
    return next(each for each in way(told, entry_id).path if each.step_no == number)
