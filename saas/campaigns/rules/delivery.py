"""How fast and in which parts a campaign leaves: what can be chosen, what is signed of it, how long it takes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from saas.campaigns.rules.document import DISCARD, IN_SILENCE, FrequencyCap, Wave
from saas.campaigns.rules.quiet import DAYS, Nights, QuietHours
from saas.kernel.errors import Fault
from saas.tenants.rules import MAX_CAP, MAX_CAP_DAYS, TIME_OF_DAY

MAX_SPEED: Final = 100_000_000
MIN_WAVES: Final = 2
MAX_WAVES: Final = 20
MAX_AFTER_MINUTES: Final = 30 * 24 * 60
CAP_USES: Final = ("workspace", "own", "none")
QUIET_USES: Final = ("project", "own", "none")
_ALL: Final = 100
_NO_SPEED: Final = "Only what has a date has a speed: all else leaves as people come to it. Limit its channel instead."


def bad_delivery(settings: Mapping[str, Any], *, dated: bool, marketing: bool) -> list[Fault]:
    """Return what is impossible in a draft's settings, each with its place. No settings are fine."""
    return [
        *_bad_speed(settings.get("speed_per_hour"), dated=dated),
        *_bad_waves(settings.get("waves") or [], dated=dated),
        *_bad_cap(settings.get("frequency_cap") or {}, marketing=marketing),
        *_bad_quiet(settings.get("quiet_hours") or {}, marketing=marketing),
        *_bad_window(settings.get("send_window"), marketing=marketing),
        *_bad_silence(settings.get("in_silence")),
    ]


def bad_paces(steps: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """Return what is impossible in the speeds and waves that steps have of their own (S15)."""
    return [fault for index, step in enumerate(steps) for fault in _bad_pace(step, f"/steps/{index}")]


def _bad_pace(step: Mapping[str, Any], at: str) -> list[Fault]:
    dated = bool(step.get("at"))
    return [
        *_bad_speed(step.get("speed_per_hour"), dated=dated, at=at),
        *_bad_waves(step.get("waves") or [], dated=dated, at=at),
    ]


def resolved(
    settings: Mapping[str, Any], *, marketing: bool, workspace: FrequencyCap | None, project: QuietHours | None
) -> dict[str, Any]:
    """Return the settings as they are signed: the workspace's cap and the project's quiet hours as they are now."""
    waves = settings.get("waves") or []
    cap = _cap(settings.get("frequency_cap") or {}, workspace) if marketing else None
    quiet = quiet_of(settings.get("quiet_hours") or {}, project) if marketing else None
    window = settings.get("send_window") if marketing else None
    rare: dict[str, Any] = {"send_window": _in_order(window)} if window else {}
    if (window or quiet is not None) and settings.get("in_silence") == DISCARD:
        rare["in_silence"] = DISCARD
    return {
        "speed_per_hour": settings.get("speed_per_hour"),
        "waves": [{"percent": wave["percent"], "after_minutes": wave["after_minutes"]} for wave in waves],
        "frequency_cap": {"messages": cap.messages, "days": cap.days} if cap is not None else None,
        "quiet_hours": quiet.words if quiet is not None else None,
        **rare,  # what most campaigns do not have stands in few documents
    }


def takes_s(
    people: int,
    *,
    speed_per_hour: int | None,
    waves: Sequence[Wave],
    messages: int | None = None,
    rate_per_minute: int | None = None,
    nights: Nights | None = None,
) -> int | None:
    """Return how many seconds after its start a campaign to so many people ends.

    people: everybody in the audience. The send speed paces all of them, because they are dealt out to chunks before it
    is known who is skipped. messages: those of them who could be sent to, all by default; the channel's rate paces only
    them, since it is kept to where they are claimed. The slower of the two counts. None where neither was chosen and
    there are no waves. A wave begins when it is due and the one before has left. nights: the quiet hours after the
    start; the clock stops in them.
    """
    if speed_per_hour is None and not waves and rate_per_minute is None:
        return None
    of_person = max(
        3600 / speed_per_hour if speed_per_hour else 0.0,
        60 / rate_per_minute * _share(messages, people) if rate_per_minute else 0.0,
    )
    nights = nights or Nights()
    end, percent, sent = 0.0, 0, 0
    for wave in waves or (Wave(_ALL, 0),):
        percent += wave.percent
        part = people * percent // _ALL - sent
        sent += part
        end = nights.after(max(end, wave.after_minutes * 60.0), part * of_person)
    return round(end)


def _share(messages: int | None, people: int) -> float:
    """Return which part of the people gets a message."""
    return messages / people if messages is not None and people else 1.0


def _cap(chosen: Mapping[str, Any], workspace: FrequencyCap | None) -> FrequencyCap | None:
    use = chosen.get("use", "workspace")
    if use == "own":
        return FrequencyCap(chosen["messages"], chosen["days"])
    return workspace if use == "workspace" else None


def quiet_of(chosen: Mapping[str, Any], project: QuietHours | None) -> QuietHours | None:
    """Return the quiet hours that a draft chooses: its own, those of its project, or none."""
    use = chosen.get("use", "project")
    if use == "own":
        return QuietHours.of(chosen["from"], chosen["until"])
    return project if use == "project" else None


def _bad_speed(speed: object, *, dated: bool, at: str = "/settings") -> list[Fault]:
    if speed is None:
        return []
    if not dated:
        return [
            Fault(
                f"{at}/speed_per_hour",
                "Only what has a date has a speed: all else leaves as people come to it. Limit its channel instead.",
            )
        ]
    if not _whole(speed, 1, MAX_SPEED):
        return [Fault(f"{at}/speed_per_hour", f"Must be between 1 and {MAX_SPEED} an hour, or empty.")]
    return []


def _bad_waves(waves: Sequence[Mapping[str, Any]], *, dated: bool, at: str = "/settings") -> list[Fault]:
    if not waves:
        return []
    if not dated:
        return [Fault(f"{at}/waves", "Only what has a date has waves: all else leaves as people come to it.")]
    if not MIN_WAVES <= len(waves) <= MAX_WAVES:
        return [Fault(f"{at}/waves", f"There are {MIN_WAVES} to {MAX_WAVES} waves, or none.")]
    faults = [fault for no in range(len(waves)) for fault in _bad_wave(waves, no, f"{at}/waves/{no}")]
    if not faults and (total := sum(wave["percent"] for wave in waves)) != _ALL:
        last = len(waves) - 1
        faults.append(Fault(f"{at}/waves/{last}/percent", f"The waves make {total} %; together they are 100 %."))
    return faults


def _bad_wave(waves: Sequence[Mapping[str, Any]], no: int, at: str) -> list[Fault]:
    faults, wave = [], waves[no]
    if not _whole(wave.get("percent"), 1, _ALL):
        faults.append(Fault(f"{at}/percent", "Must be between 1 and 100."))
    after, before = wave.get("after_minutes"), waves[no - 1].get("after_minutes") if no else None
    if not _whole(after, 0, MAX_AFTER_MINUTES):
        faults.append(Fault(f"{at}/after_minutes", f"Must be between 0 and {MAX_AFTER_MINUTES} minutes."))
    elif no == 0 and after != 0:
        faults.append(Fault(f"{at}/after_minutes", "The first wave leaves at the start: 0 minutes after it."))
    elif isinstance(before, int) and isinstance(after, int) and after <= before:
        faults.append(Fault(f"{at}/after_minutes", "A wave leaves later than the one before it."))
    return faults


def _bad_cap(cap: Mapping[str, Any], *, marketing: bool) -> list[Fault]:
    use = cap.get("use", "workspace")
    if use not in CAP_USES:
        return [Fault("/settings/frequency_cap/use", f"One of: {', '.join(CAP_USES)}.")]
    if use != "own":
        return []
    if not marketing:
        return [Fault("/settings/frequency_cap", "Transactional messages have no frequency cap.")]
    faults = []
    if not _whole(cap.get("messages"), 0, MAX_CAP):
        faults.append(Fault("/settings/frequency_cap/messages", f"Say how many, 0 to {MAX_CAP}."))
    if not _whole(cap.get("days"), 1, MAX_CAP_DAYS):
        faults.append(Fault("/settings/frequency_cap/days", f"Say in how many days, 1 to {MAX_CAP_DAYS}."))
    return faults


def _bad_quiet(quiet: Mapping[str, Any], *, marketing: bool) -> list[Fault]:
    use, at = quiet.get("use", "project"), "/settings/quiet_hours"
    if use not in QUIET_USES:
        return [Fault(f"{at}/use", f"One of: {', '.join(QUIET_USES)}.")]
    if use != "own":
        return []
    if not marketing:
        return [Fault(at, "Transactional messages never wait; they have no quiet hours.")]
    words = {"from": "begin", "until": "end"}
    faults = [
        Fault(f"{at}/{name}", f"Say when they {word}, as in 21:00.")
        for name, word in words.items()
        if not re.match(TIME_OF_DAY, str(quiet.get(name, "")))
    ]
    if not faults and quiet["from"] == quiet["until"]:
        return [Fault(f"{at}/until", "Quiet hours end at another time than they begin.")]
    return faults


def _in_order(window: Mapping[str, Any]) -> dict[str, Any]:
    days = [day for day in DAYS if day in window["days"]]
    return {"days": days, "from": window["from"], "until": window["until"]}


def _bad_window(window: Mapping[str, Any] | None, *, marketing: bool) -> list[Fault]:
    at = "/settings/send_window"
    if not window:
        return []
    if not marketing:
        return [Fault(at, "Transactional messages never wait; they have no send window.")]
    faults = [] if window.get("days") else [Fault(f"{at}/days", "Choose at least one day.")]
    faults += [
        Fault(f"{at}/days", f"One of: {', '.join(DAYS)}.") for day in window.get("days") or () if day not in DAYS
    ]
    if not faults and set(window["days"]) == set(DAYS) and window.get("from") == window.get("until"):
        return [Fault(at, "This window never closes; leave it out.")]
    words = {"from": "begins", "until": "ends"}
    return faults + [
        Fault(f"{at}/{name}", f"Say when it {word}, as in 09:00.")
        for name, word in words.items()
        if not re.match(TIME_OF_DAY, str(window.get(name, "")))
    ]


def _bad_silence(chosen: str | None) -> list[Fault]:
    if chosen is None or chosen in IN_SILENCE:
        return []
    return [Fault("/settings/in_silence", f"One of: {', '.join(IN_SILENCE)}.")]


def _whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
