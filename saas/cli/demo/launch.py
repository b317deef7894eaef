"""One campaign from its draft to its end: saved, submitted, looked at, approved, watched."""

import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from saas.cli.demo.client import Unexpected
from saas.cli.demo.screen import Bar, Wrong, agree, insist
from saas.cli.demo.world import TIME_ZONE, World, check_balance

_PLAN_AHEAD_S: Final = 6.0  # doubled whenever the approval came too late for it
# Approved a moment before its time, so that it is the lead after publication that decides the start.
_APPROVE_BEFORE_S: Final = 1.5
_TRIES: Final = 5
_DELIVERY_S: Final = 900.0
_FINAL: Final = frozenset({"completed", "stopped"})

Draft = Callable[[str | None], dict[str, Any]]


class Launch:
    """A campaign that the manager builds and the approver signs. `draft` makes the draft for a wall time."""

    def __init__(self, world: World, *, name: str, kind: str, purpose: str, draft: Draft) -> None:
        self._world = world
        self._draft = draft
        self._dated = kind == "dated"
        self._ahead_s = _PLAN_AHEAD_S
        body = {"name": name, "project_id": world.project_id, "kind": kind, "purpose": purpose}
        made = world.callers["manager"].post("/campaigns", body, expect=201)
        agree("The state of a new campaign", found=made["state"], expected="draft")
        self.campaign_id: str = made["campaign_id"]
        self.path = f"/campaigns/{self.campaign_id}"
        self.revision_path = f"{self.path}/revisions/1"
        self.review: dict[str, Any] = {}
        self.revision: dict[str, Any] = {}

    def save(self) -> datetime | None:
        """Save the draft with a time shortly ahead; returns that time."""
        manager = self._world.callers["manager"]
        planned = self._shortly_ahead() if self._dated else None
        wall = planned.astimezone(ZoneInfo(TIME_ZONE)).replace(tzinfo=None).isoformat() if planned else None
        version = manager.get(self.revision_path)["version"]
        saved = manager.put(self.revision_path, {"draft": self._draft(wall)}, version=version)
        insist(f"The draft is not complete: {saved['checks']}", holds=saved["checks"] == [])
        return planned

    def publish(self, inspect: Callable[[dict[str, Any]], None]) -> None:
        """Submit, have it looked at, approve. A time that passed meanwhile is set anew, as people would do."""
        manager, approver = self._world.callers["manager"], self._world.callers["approver"]
        for _ in range(_TRIES):
            planned = self.save()
            submitted = manager.post(f"{self.revision_path}/submit", {}, expect=200)
            agree("The state of a submitted revision", found=submitted["state"], expected="in_review")
            self.review = approver.get(f"{self.revision_path}/review")
            agree("The hash under review", found=self.review["content_hash"], expected=submitted["content_hash"])
            inspect(self.review)
            self._wait_until_shortly_before(planned)
            decision = {"content_hash": self.review["content_hash"], "comment": "Checked, and good to go."}
            answer = approver.call("POST", f"{self.revision_path}/approve", body=decision)
            if answer.status != 200:
                raise Unexpected(f"POST {self.revision_path}/approve", answer)
            if answer.body["state"] == "published":
                self.revision = answer.body
                self._check_start(planned)
                return
            self._ahead_s *= 2  # it is approved, but too late; saved with a new time it is asked for again
        raise Wrong(f"The approval came too late {_TRIES} times; this machine is too busy for the demo.")

    def state(self) -> str:
        """Return the campaign's state. Raises Wrong for one that will not go on by itself."""
        found = self._world.callers["manager"].get(self.path)
        insist(f"The campaign was held: {found['held_reason']}", holds=found["state"] != "held")
        return str(found["state"])

    def report(self) -> dict[str, Any]:
        """Return the report, whose numbers must balance at any moment."""
        found: dict[str, Any] = self._world.callers["manager"].get(f"{self.path}/report")
        check_balance(found)
        return found

    def watch(self, people: int) -> dict[str, Any]:
        """Show the delivery until the campaign is complete, and return the final report."""
        with self._world.screen.bar("delivering", total=people) as bar:
            return self._world.until(
                "The delivery", lambda: self._completed(bar), timeout_s=_DELIVERY_S + self._world.lead_s
            )

    def _completed(self, bar: Bar) -> dict[str, Any] | None:
        final = self.state() in _FINAL  # asked first: what the report says afterwards is all there will be
        report = self.report()
        bar.at(report["planned"] - report["open"])
        return report if final and not report["open"] else None

    def _shortly_ahead(self) -> datetime:
        ahead = self._world.clock.now() + timedelta(seconds=self._ahead_s)
        return ahead.replace(microsecond=0)

    def _wait_until_shortly_before(self, planned: datetime | None) -> None:
        if planned is None:
            return
        wait_s = (planned - self._world.clock.now()).total_seconds() - _APPROVE_BEFORE_S
        with self._world.screen.working("approved a moment before its time …"):
            time.sleep(max(0.0, wait_s))

    def _check_start(self, planned: datetime | None) -> None:
        """Insist on the rule: not before its time, and not sooner than the lead after publication (R1)."""
        if planned is None:
            return
        published = datetime.fromisoformat(self.revision["published_at"])
        effective = datetime.fromisoformat(self.revision["effective_at"])
        lead = timedelta(seconds=self._world.lead_s)
        agree("The start by the five-minute rule", found=effective, expected=max(planned, published + lead))


def p95(values_ms: list[float]) -> int:
    """Return the 95th percentile by nearest rank, rounded up."""
    ordered = sorted(values_ms)
    return math.ceil(ordered[math.ceil(0.95 * len(ordered)) - 1])
