"""Whoever signs sees everything that is signed (R13, U1): each field of a draft stands in the review, in words."""

import html
import json
import re

import pytest
import sqlalchemy as sa

from saas.campaigns.schemas.campaigns import Draft
from saas.campaigns.schemas.steps import StepDraft
from saas.kernel.ids import parse
from saas.permissions.types import Role
from tests import drafts, scenes
from tests.api.post_office import opened
from tests.api.test_approval_links import listed, policy
from tests.api.test_bad_flows import Desk
from tests.worlds import bound

pytestmark = pytest.mark.integration

# Where the review tells of a field: the document that has it, and what its page says. None: no value of its own.
SAYS = {
    "audience": None, "audience.audience_id": ("again", "for whom the signed rule holds Audience rule everybody"), "audience.list_id": ("dated", "Who Everybody on Club p"),
    "audience.rest_of": ("rest", "Who Everybody whom “Black week” has not served"),
    "topic": ("dated", "Topic of consent newsletter"), "time_zone": ("dated", "Time zone Europe/Oslo"),
    "payload": None, "payload.fields": None, "payload.fields.key": ("api", "Fields of the call town (text)"),
    "payload.fields.kind": ("api", "town (text)"), "payload.fields.required": ("api", "shoe (number, may be missing)"),
    "settings": None, "settings.speed_per_hour": ("dated", "At most 4,321 an hour"), "settings.waves": None,
    "settings.waves.percent": ("dated", "37 % at the start"), "settings.waves.after_minutes": ("dated", "63 % after 1 h 35 min"),
    "settings.frequency_cap": None, "settings.frequency_cap.use": ("dated", "At most 7 marketing messages"),
    "settings.frequency_cap.messages": ("dated", "At most 7 marketing messages"),
    "settings.frequency_cap.days": ("dated", "to a person in 11 days"),
    "settings.quiet_hours": None, "settings.quiet_hours.use": ("dated", "22:10 to 06:20"),
    "settings.quiet_hours.from": ("dated", "22:10 to"), "settings.quiet_hours.until": ("dated", "to 06:20"),
    "settings.send_window": None, "settings.send_window.days": ("dated", "Mon, Tue, Sat, 06:25"),
    "settings.send_window.from": ("dated", "06:25 to"), "settings.send_window.until": ("dated", "to 22:05"),
    "settings.in_silence": ("dated", "What would have left then is not sent at all."),
    "settings.also_waiting": ("api", "Changed delays also count for those who wait already"),
    "settings.conversion": None, "settings.conversion.event": ("dated", "What counts as a conversion order.paid"),
    "settings.late": ("api", "Late calls They are refused"),
    "settings.accepts_from": ("api", "Calls from 2039-01-02 03:04 Oslo"), "settings.accepts_until": ("api", "Calls until 2039-05-06 07:08 Oslo"),
    "entry": None, "entry.event": ("flowing", "Whose event “order.placed” is told, of: everybody on Club p; nobody else"),
    "entry.leaving": ("flowing", "Who matches no more leaves at once."),
    "entry.re_entry": ("flowing", "Somebody may come again after their way has ended."),
    "entry.every_minutes": ("flowing", "looked at every 7 minutes"),
    "recurrence": None, "recurrence.rule": ("again", "every 2 days"), "recurrence.count": ("again", "3 times"),
    "recurrence.until": ("again", "until 31 Dec 2040"),
    "publish_from": ("dated", "Not before 2040-11-02 03:04 Oslo"), "publish_until": ("dated", "Not after 2041-11-02 03:04 Oslo"),
    "moves": ("api", "Who waits at step 99, which is taken out goes on with step 2"),
    "start": ("dated", "Start Everybody on Club p M1"), "steps": None,
}  # fmt: skip
SAYS_OF_STEPS = {
    "step_no": ("dated", "Step 11, gate 11"), "kind": ("dated", "Step 17 · End"), "name": ("dated", "change_points 4"),
    "at": ("dated", "Time 2040-12-01 09:00 Oslo"), "latest": ("dated", "No later than 2040-12-01 21:00 Oslo"),
    "next": ("dated", "No answer in time"), "channel_id": ("dated", "From address club@news.northwind.example"),
    "content": None, "content.subject": ("dated", "Subject step 1"), "content.preheader": None,  # in the message's frame
    "content.html": None, "content.text": ("dated", "Text part"),
    "body": ("dated", "Tells " + drafts.BODY), "speed_per_hour": ("dated", "Speed at most 987 an hour"),
    "waves": None, "waves.percent": ("dated", "41 % at the start"), "waves.after_minutes": ("dated", "59 % after 2 h"),
    "local_time": None, "local_time.past": ("dated", "where the time has passed already it is sent the next day"),
    "branches": None, "branches.key": ("dated", "A · 50 %"), "branches.name": ("dated", "A · 50 %"),
    "branches.weight": ("dated", "B · 50 %"), "branches.holdout": ("api", "B · 50 % · gets nothing"),
    "branches.audience_id": ("dated", "Branch “A” Club p: everybody"),
    "test_percent": ("dated", "20 % get A or B by chance"), "decide_after_minutes": ("dated", "after one hour the rest"),
    "winner_by": ("dated", "the one opened most"), "message": ("dated", "What people did with step 1, “M1”"),
    "interactions": ("dated", "opened; the rest"), "ignore_machine_opens": ("dated", "opens by programs do not count"),
    "rule": ("dated", "City is “Oslo”?"), "delivers": ("dated", "It decides about the message behind it"),
    "wait": ("dated", "Yes, for the other system’s word"), "timeout_minutes": ("dated", "Shop decides within one hour"),
    "open_fields": ("dated", "It may fill in offer"), "on": ("api", "Opened step 1, “M1” within one hour?"),
    "event": ("api", "“shoe.bought” within 77 minutes?"), "within_minutes": ("api", "within 77 minutes"),
    "for": ("api", "Waits 83 minutes"), "minutes": ("api", "Waits 83 minutes"),
    "until": ("api", "Waits until Wed 5 Dec 2040 09:41"), "time": ("api", "Waits until 14:37 by the person’s clock"),
    "attribute": ("api", "3 days before Born, 08:19, each year"), "days": ("api", "3 days before Born"),
    "yearly": ("api", "each year"), "changes": None, "changes.attribute": ("api", "Sets City to Oslo"),
    "changes.value": ("api", "Sets City to Oslo"), "changes.add": ("api", "Adds 6 to Score"),
    "changes.copy": ("api", "Sets Nick to the value of First name"), "changes.context": ("api", "call’s field town"),
    "changes.now": ("api", "Sets Born to the present time"), "changes.clear": ("api", "Empties Rank"),
    "list_id": ("dated", "Puts people on Club p"), "action": ("dated", "Stops people’s way in “Black week”"),
    "points": ("dated", "Gives 5 points"), "fill": None, "fill.attribute": ("dated", "town → city"),
    "fill.field": ("dated", "Its answer fills town → city"), "campaign_id": ("dated", "“Black week”"),
    "text": ("dated", "“They came by”"), "reason": ("dated", "done Step 17"),
}  # fmt: skip


def fields(schema, before=""):
    """Every field of a schema by its path; those of steps are walked on their own."""
    for name, field in schema.fields.items():
        path = f"{before}{field.data_key or name}"
        yield path
        inner = getattr(field, "inner", field)
        nested = getattr(inner, "schema", None)
        if nested is not None and path != "steps":
            yield from fields(nested, f"{path}.")


def test_r13_every_field_of_a_draft_has_its_words_in_the_review():
    """A field that is added to drafts must be added above, with what the review says of it."""
    assert set(fields(Draft())) == set(SAYS)
    assert set(fields(StepDraft())) == set(SAYS_OF_STEPS)


def dated(desk):
    draft = desk.whole("dated")
    steps = {step["step_no"]: step for step in draft["steps"]}
    steps[1] |= {"latest": "2040-12-01T21:00", "local_time": {"past": "next_day"}, "speed_per_hour": 987,
                 "waves": [{"percent": 41, "after_minutes": 0}, {"percent": 59, "after_minutes": 120}]}  # fmt: skip
    steps[3]["ignore_machine_opens"] = True
    draft["settings"] = {
        "speed_per_hour": 4321, "waves": [{"percent": 37, "after_minutes": 0}, {"percent": 63, "after_minutes": 95}],
        "frequency_cap": {"use": "own", "messages": 7, "days": 11},
        "quiet_hours": {"use": "own", "from": "22:10", "until": "06:20"},
        "send_window": {"days": ["MO", "TU", "SA"], "from": "06:25", "until": "22:05"}, "in_silence": "discard",
        "conversion": {"event": "order.paid"},
    }  # fmt: skip
    return draft | {"publish_from": "2040-11-02T03:04", "publish_until": "2041-11-02T03:04"}


def again(desk):
    draft = desk.whole("dated")
    recurrence = {"rule": "FREQ=DAILY;INTERVAL=2", "count": 3, "until": "2040-12-31"}
    steps = [drafts.message(1, desk.refs, at="2040-12-01T09:00")]
    return draft | {"audience": {"audience_id": desk.refs["aud"]}, "steps": steps, "recurrence": recurrence}


def rest(desk):
    steps = [drafts.message(1, desk.refs, at="2040-12-01T09:00")]
    return desk.whole("dated") | {"audience": {"rest_of": desk.refs["rest"]}, "steps": steps}


def flowing(desk):
    entry = {"event": "order.placed", "leaving": "leave", "re_entry": "after_finishing", "every_minutes": 7}
    return desk.whole("flowing") | {"entry": entry}


def api(desk):
    draft = desk.whole("api")
    steps = {step["step_no"]: step for step in draft["steps"]}
    changes = [
        {"attribute": "city", "value": "Oslo"}, {"attribute": "score", "add": 6}, {"attribute": "nick", "copy": "first_name"},
        {"attribute": "place", "context": "town"}, {"attribute": "born", "now": True}, {"attribute": "rank", "clear": True},
    ]  # fmt: skip
    steps[6]["changes"] = changes
    steps[7]["branches"] = [{"key": "a", "name": "", "audience_id": desk.refs["aud"]}]
    steps[2] |= {"next": {"a": [3]}}
    steps[2]["branches"][1]["holdout"] = True
    steps[1]["next"] = {"sent": [20]}
    waits = [
        {"for": "delay", "minutes": 83}, {"for": "date", "until": "2040-12-05T09:41"}, {"for": "local_hour", "time": "14:37"},
        {"for": "attribute", "attribute": "born", "days": -3, "time": "08:19", "yearly": True},
    ]  # fmt: skip
    more = [
        {"step_no": no, "kind": "wait", "name": "W", "next": {"done": [no + 1]}} | each
        for no, each in enumerate(waits, 20)
    ]
    ask = {"step_no": 24, "kind": "decision", "name": "D", "on": "event", "event": "shoe.bought", "within_minutes": 77,
           "next": {"yes": [2], "no": [4]}}  # fmt: skip
    keys = [("town", "text", True), ("shoe", "number", False)]
    return draft | {
        "steps": [*draft["steps"], *more, ask], "moves": {"99": 2},
        "payload": {"fields": [{"key": key, "kind": kind, "required": needed} for key, kind, needed in keys]},
        "settings": {"late": "refuse", "accepts_from": "2039-01-02T03:04", "accepts_until": "2039-05-06T07:08",
                     "also_waiting": True, "waves": []},
    }  # fmt: skip


@pytest.fixture
def desk(world):
    found, admin = Desk(world, world.a), world.client(world.a, Role.ADMIN)
    for key, label, kind in (
        ("score", "Score", "number"),
        ("born", "Born", "date"),
        ("nick", "Nick", "text"),
        ("place", "Place", "text"),
        ("rank", "Rank", "number"),
    ):
        assert admin.post("/attributes", {"key": key, "label": label, "kind": kind}).status_code == 201
    found.refs["rest"] = scenes.make_campaign(world, world.a)
    with bound(world.engine, world.a) as session:
        stop = sa.text("UPDATE campaign SET state = 'stopped' WHERE campaign_id = :id")
        session.execute(stop, {"id": parse("cam", found.refs["rest"])})
        session.commit()
    return found


@pytest.fixture
def office(engine, app_settings, empty_agenda):
    with opened(engine, app_settings) as found:
        yield found


def text_of(answer):
    assert answer.status_code == 200, answer.text
    plain = html.unescape(re.sub(r"<[^>]+>", " ", answer.text))
    return re.sub(r"\s+", " ", plain).replace("\u00a0", " ")


def _expected(name):
    return {
        path: said[1] for table in (SAYS, SAYS_OF_STEPS) for path, said in table.items() if said and said[0] == name
    }


def _leaves(value):
    if isinstance(value, dict):
        return [leaf for name, each in value.items() if name != "content" for leaf in [name, *_leaves(each)]]
    return [leaf for each in value for leaf in _leaves(each)] if isinstance(value, list) else [json.dumps(value)]


@pytest.mark.parametrize("make", [dated, again, rest, flowing, api])
def test_r13_u8_page_link_and_api_show_every_field(world, desk, office, make):
    """The same on the page of the workspace and behind the mailed link; over the API the document itself."""
    outside_id, email = listed(world, office, "greta")
    policy(world, {"needed": 1, "outside": [outside_id]})
    kind = make.__name__ if make in {flowing, api} else "dated"
    saved = desk.saves(make(desk), kind)
    assert (saved.status_code, saved.get_json()["checks"]) == (200, []), saved.text
    scenes.submit(world, world.a, desk.campaigns[kind])
    office.deliver()
    pages = {
        "page": text_of(desk.page(kind, "/review")),
        "link": text_of(world.app.test_client().get(f"/approve/{office.tokens(email)[-1]}")),
    }
    missing = {
        (where, path): said
        for where, page in pages.items()
        for path, said in _expected(make.__name__).items()
        if said not in page
    }
    assert missing == {}, pages["page"]
    url = f"/campaigns/{desk.campaigns[kind]}/revisions/1"
    review, whole = desk.manager.get(f"{url}/review").get_json(), desk.manager.get(url).get_json()["document"]
    assert sorted(_leaves(review["signed"])) == sorted(_leaves(whole))
    rounds = review["rounds"]
    assert (rounds is None) == (make is not again)
    if rounds is not None:
        assert (rounds["rule"], rounds["rounds"], rounds["count"]) == ("FREQ=DAILY;INTERVAL=2", 3, 3)
        assert rounds["next"] == ["2040-12-01T08:00:00Z", "2040-12-03T08:00:00Z", "2040-12-05T08:00:00Z"]
        assert rounds["last"] == "2040-12-05T08:00:00Z"
        assert "3 rounds in all Next: Sat 1 Dec 2040 09:00 ; Mon 3 Dec 2040 09:00" in pages["link"]
