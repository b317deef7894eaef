"""Drafts of flows for page tests: one with most kinds of steps, and small ones."""

from contextlib import contextmanager
from datetime import timedelta

from saas.kernel.clock import FixedClock
from saas.permissions.types import Role
from tests import scenes

HTML, TEXT = scenes.HTML, scenes.TEXT


@contextmanager
def clocked(world, moment):
    """Let the clock of pages stand at a moment; who signs in before it may have been signed out by then."""
    shell = world.app.extensions["countersign"]
    before, shell.clock = shell.clock, FixedClock(moment)
    try:
        yield
    finally:
        shell.clock = before


class FlowDraft:
    """Times are minutes after `start`, a full minute in some hours, in Oslo."""

    def __init__(self, world, place, port=1):
        self.world, self.place, self.port = world, place, port
        self.start = scenes.soon(30).replace(second=0)
        self.list_id = self.channel_id = None

    def people(self, count, **attributes):
        self.list_id, self.addresses = scenes.add_people(self.world, self.place, count, **attributes)
        self.channel_id = scenes.add_channel(self.world, self.place, self.port)
        return self

    def wall(self, minutes):
        return scenes.wall(self.start + timedelta(minutes=minutes))[:16]

    def message(self, no, name, when=None, /, *, after=None, subject=None, **more):
        content = {"subject": subject or name, "html": HTML, "text": TEXT}
        step = {"step_no": no, "kind": "email", "name": name, "channel_id": self.channel_id, "content": content}
        return self._timed(step, when, {"sent": after} if after else {}, more)

    def step(self, no, kind, name, when=None, /, *, after=None, **more):
        return self._timed({"step_no": no, "kind": kind, "name": name}, when, after or {}, more)

    def _timed(self, step, when, after, more):
        step["next"] = {word: [to] if isinstance(to, int) else to for word, to in after.items()}
        if when is not None:
            step["at"] = self.wall(when)
        return step | more

    def draft(self, *steps, kind="dated", **more):
        found = {"topic": "newsletter", "time_zone": scenes.ZONE, "steps": list(steps), "start": [steps[0]["step_no"]]}
        if kind != "api":
            found["audience"] = {"list_id": self.list_id}
        return found | more

    def saved(self, draft, *, kind="dated", no=1, campaign_id=None):
        """Save a draft as it is, complete or not. Returns the campaign's id."""
        campaign_id = campaign_id or scenes.make_campaign(self.world, self.place, kind=kind)
        manager = self.world.client(self.place, Role.MANAGER)
        path = f"/campaigns/{campaign_id}/revisions/{no}"
        saved = manager.put(path, {"draft": draft}, etag=manager.get(path).headers["ETag"])
        assert saved.status_code == 200, saved.text
        return campaign_id

    def read(self, campaign_id, no=1):
        """The draft as it is stored."""
        found = self.world.client(self.place, Role.MANAGER).get(f"/campaigns/{campaign_id}/revisions/{no}").get_json()
        return found["draft"]

    def audience(self, name, city):
        body = {
            "name": name, "project_id": self.place.prj, "list_id": self.list_id, "visibility": "public",
            "rule": {"all": [{"attribute": "city", "op": "eq", "value": city}]},
        }  # fmt: skip
        made = self.world.client(self.place, Role.MANAGER).post("/audiences", body)
        assert made.status_code == 201, made.text
        return made.get_json()["audience_id"]

    def big(self):
        """Ways that part and meet, messages at once, actions, a time that is out of order (S43)."""
        split = [{"key": "a", "name": "Path A", "weight": 50}, {"key": "b", "name": "Path B", "weight": 40},
                 {"key": "c", "name": "Control", "weight": 10, "holdout": True}]  # fmt: skip
        return self.draft(
            self.message(1, "Invitation", 0, after=[2], subject="Your early access is open"),
            self.step(2, "random_split", "Three groups", 60, after={"a": 3, "b": [7, 8]}, branches=split),
            self.message(3, "Three favourites", 60, after=[4]),
            self.step(4, "engagement_split", "Who liked it", 2 * 1440, after={"clicked": 5, "remaining": 6}, message=3,
                      interactions=["clicked", "opened"]),
            self.step(5, "set_attribute", "Mark interest", 2 * 1440, after={"done": 9},
                      changes=[{"attribute": "city", "value": "Oslo"}]),
            self.message(6, "Once more", 2 * 1440, after=[9]),
            self.message(7, "Free returns", 30),
            self.message(8, "Gift card", 30),
            self.message(9, "Last day", 3 * 1440),
        )  # fmt: skip
