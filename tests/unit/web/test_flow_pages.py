"""The outline of a flow, changes of it, and forms of steps, without a browser (S32, S33, S40, S59)."""

import pytest
from werkzeug.datastructures import MultiDict

from saas.audiences.types import AttributeKind
from saas.campaigns.rules.flow.shape import shape_of
from saas.campaigns.schemas.steps import StepDraft
from saas.campaigns.steps.registry import KINDS
from saas.campaigns.types import CampaignKind
from saas.web.campaigns import draft_form, flow_edits, step_form, step_looks, terms_form
from saas.web.campaigns.outline import MAX_DEPTH, outline_of

ATTRIBUTES = {"city": AttributeKind.TEXT, "age": AttributeKind.NUMBER, "vip": AttributeKind.BOOLEAN}


def email(no, *after, at=None):
    return {"step_no": no, "kind": "email", "name": f"M{no}", "at": at, "next": {"sent": list(after)} if after else {}}


def split(no, **ways):
    branches = [{"key": key, "name": key.upper(), "weight": 100 / len(ways)} for key in ways]
    nexts = {key: [to] if isinstance(to, int) else list(to) for key, to in ways.items() if to}
    return {"step_no": no, "kind": "random_split", "name": f"S{no}", "branches": branches, "next": nexts}


def condition(no, yes=None, no_=None):
    nexts = {word: [to] for word, to in (("yes", yes), ("no", no_)) if to}
    return {"step_no": no, "kind": "condition", "name": f"C{no}", "rule": {}, "next": nexts}


def flow(*steps, start=None):
    return {"start": [start or steps[0]["step_no"]], "steps": list(steps)}


def drawn(way):
    """A way as nested lists: numbers, messages at once as tuples, exits as dicts, `>n` where it goes on."""
    found = []
    for stop in way.stops:
        found.append(stop.steps[0] if len(stop.steps) == 1 else stop.steps)
        if stop.exits:
            found.append({exit_.word: drawn(exit_.way) for exit_ in stop.exits})
    return found + [f">{no}" for no in way.goes_on]


def outlined(draft):
    found = outline_of(shape_of(draft))
    return drawn(found.way), [(place, drawn(way)) for place, way in found.deeper], [drawn(way) for way in found.loose]


def numbers(draft):
    return [step["step_no"] for step in draft["steps"]]


def test_s33_a_step_after_another_and_ways_that_part():
    draft = flow(email(1, 2), split(2, a=3, b=4), email(3), email(4, 5), email(5))
    assert outlined(draft) == ([1, 2, {"a": [3], "b": [4, 5]}], [], [])


def test_ways_that_meet_stand_once_behind_the_split():
    draft = flow(split(1, a=2, b=3, c=0), email(2, 4), email(3, 4), email(4))
    assert outlined(draft)[0] == [1, {"a": [2, ">4"], "b": [3, ">4"], "c": []}, 4]


def test_ways_that_meet_within_one_branch_are_linked():
    draft = flow(split(1, a=2, b=3), condition(2, yes=4, no_=3), email(3), email(4, 3))
    assert outlined(draft)[0] == [1, {"a": [2, {"yes": [4, ">3"], "no": [">3"]}], "b": [">3"]}, 3]


def test_messages_at_once_stand_together():
    draft = flow(split(1, a=(2, 3), b=4), email(2, 5), email(3, 5), email(4), email(5))
    assert outlined(draft)[0] == [1, {"a": [(2, 3), 5], "b": [4]}]


def test_a_step_that_is_named_twice_in_one_place_is_drawn_once():
    shape = shape_of(
        {"steps": [{"step_no": 1, "kind": "email", "next": {"sent": [2, 2]}}, {"step_no": 2, "kind": "email"}]}
    )
    assert [stop.steps for stop in outline_of(shape).way.stops] == [(1,), (2,)]


def test_every_step_is_drawn_once_whatever_is_wrong_with_the_flow():
    circle = flow(email(1, 2), email(2, 1), email(3, 4), email(4))
    assert outlined(circle) == ([1, 2, ">1"], [], [[3, 4]])
    deep = flow(*(condition(no, yes=no + 1) for no in range(1, 40)), email(40))
    main, deeper, loose = outlined(deep)
    text = str(main) + str(deeper)
    assert loose == [] and len(deeper) == 39 // (MAX_DEPTH + 1)
    assert all(text.count(f"[{no}, {{") == 1 for no in range(1, 40))
    assert outlined(flow(email(1, 9)))[0] == [1]


def test_a_new_step_goes_between_what_was_there():
    draft = flow(email(1, 2), email(2))
    put = flow_edits.put(draft, {**email(3)}, "1.sent")
    assert outlined(put)[0] == [1, 3, 2]
    first = flow_edits.put(put, split(4, a=0, b=0), "start")
    assert outlined(first)[0] == [4, {"a": [1, 3, 2], "b": []}]
    assert outlined(draft)[0] == [1, 2], "drafts are values"
    assert outlined(flow_edits.put({"steps": []}, email(1), "start"))[0] == [1]


def test_numbers_are_not_given_twice():
    """docs/flow.md: a number is given once in a campaign, to a step that was taken out as well."""
    first, second = flow(email(1, 7), email(7)), flow(email(1))
    assert flow_edits.next_no([second, first]) == 8
    assert flow_edits.next_no([second], used=[12]) == 13
    assert flow_edits.next_no([]) == 1


def test_a_message_at_once_shares_time_and_ways():
    """A2, R18."""
    draft = flow(split(1, a=2, b=0), email(2, 3, at="2026-12-01T09:00"), email(3))
    beside = flow_edits.put_beside(draft, email(4), 2)
    assert outlined(beside)[0] == [1, {"a": [(2, 4), 3], "b": []}]
    assert flow_edits.step_in(beside, 4)["at"] == "2026-12-01T09:00"
    moved = flow_edits.replace(beside, {**email(4), "at": "2026-12-01T10:00"})
    assert [flow_edits.step_in(moved, no)["at"] for no in (2, 4)] == ["2026-12-01T10:00"] * 2
    assert outlined(flow_edits.remove(moved, 2, follow=""))[0] == [1, {"a": [4, 3], "b": []}]


@pytest.mark.parametrize(
    ("follow", "left", "lost"),
    [("a", [1, 3, 5], [4]), ("b", [1, 4, 5], [3]), ("", [1], [3, 4, 5])],
)
def test_taking_a_step_out_asks_what_becomes_of_what_follows(follow, left, lost):
    draft = flow(email(1, 2), split(2, a=3, b=4), email(3, 5), email(4, 5), email(5))
    assert flow_edits.lost_with(draft, 2, follow=follow) == lost
    after = flow_edits.remove(draft, 2, follow=follow)
    assert numbers(after) == left
    assert drawn(outline_of(shape_of(after)).way) == left


def test_taking_out_leaves_what_other_ways_lead_to():
    draft = flow(split(1, a=2, b=3), email(2, 3), email(3))
    assert numbers(flow_edits.remove(draft, 2, follow="")) == [1, 3]
    assert outlined(flow_edits.remove(flow(email(1, 2), email(2)), 1, follow="sent")) == ([2], [], [])


def test_ways_are_led_together_but_never_in_a_circle():
    draft = flow(split(1, a=2, b=3), email(2), email(3, 4), email(4))
    assert flow_edits.goes_on_with(draft, "2.sent") == [3, 4]
    assert flow_edits.goes_on_with(draft, "4.sent") == [2]
    led = flow_edits.lead_to(draft, "2.sent", 4)
    assert outlined(led)[0] == [1, {"a": [2, ">4"], "b": [3, ">4"]}, 4]
    ended = flow_edits.lead_to(led, "2.sent", None)
    assert outlined(ended)[0] == outlined(draft)[0]


def test_exits_that_are_gone_lead_nowhere_and_their_steps_are_shown():
    draft = flow(split(1, a=2, b=3), email(2), email(3))
    changed = flow_edits.replace(draft, {**split(1, a=2, c=0), "next": {}})
    assert outlined(changed) == ([1, {"a": [2], "c": []}], [], [[3]])


# Forms: what is stored comes back as it was.
STEPS = [
    {"kind": "email", "channel_id": "chn_1", "content": {"subject": "S", "preheader": "", "html": "<p>\nH</p>",
     "text": "T"}, "speed_per_hour": 900, "waves": [{"percent": 40, "after_minutes": 0},
     {"percent": 60, "after_minutes": 120}], "local_time": {"past": "skip"}},
    {"kind": "webhook_message", "channel_id": "chn_1", "body": '{"a":\n1}'},
    {"kind": "random_split", "branches": [{"key": "a", "name": "A", "weight": 33.33},
     {"key": "x", "name": "B", "weight": 66.67, "holdout": True}]},
    {"kind": "ab_test", "branches": [{"key": "a", "name": "A"}, {"key": "b", "name": "B"}], "test_percent": 20,
     "decide_after_minutes": 240, "winner_by": "clicked"},
    {"kind": "segment_split", "branches": [{"key": "a", "name": "Oslo", "audience_id": "aud_1"}]},
    {"kind": "engagement_split", "message": 3, "interactions": ["clicked", "opened"], "ignore_machine_opens": True},
    {"kind": "gate", "channel_id": "chn_1", "delivers": True, "wait": False, "timeout_minutes": 90,
     "open_fields": ["code", "shop"]},
    {"kind": "decision", "on": "opened", "message": 3, "within_minutes": 2880},
    {"kind": "decision", "on": "event", "event": "order.placed", "within_minutes": 61},
    {"kind": "wait", "for": "delay", "minutes": 1440},
    {"kind": "wait", "for": "date", "until": "2026-12-01T09:00"},
    {"kind": "wait", "for": "local_hour", "time": "09:00"},
    {"kind": "wait", "for": "attribute", "attribute": "birthday", "days": -3, "time": "09:00", "yearly": True},
    {"kind": "set_attribute", "changes": [{"attribute": "city", "value": "Oslo"}, {"attribute": "age", "value": 30},
     {"attribute": "vip", "value": False}, {"attribute": "age", "add": -1.5}, {"attribute": "city", "copy": "town"},
     {"attribute": "city", "context": "shop"}, {"attribute": "seen", "now": True}, {"attribute": "x", "clear": True}]},
    {"kind": "change_list", "list_id": "lst_1", "action": "remove"},
    {"kind": "change_points", "points": -10},
    {"kind": "call_webhook", "channel_id": "chn_1", "body": "{}", "fill": [{"attribute": "city", "field": "town"}]},
    {"kind": "other_campaign", "campaign_id": "cam_1", "action": "stop"},
    {"kind": "notify_staff", "text": "Look"},
    {"kind": "end", "reason": "Bought"},
]  # fmt: skip


STEMS = {"branches": "branch", "changes": "change", "fill": "fill", "waves": "wave"}


def form_of(step):
    """What a browser sends for a step's form as it is shown."""
    values, sent = step_form.shown(step), MultiDict()
    for name, value in values.items():
        if name in STEMS:
            add_rows(sent, STEMS[name], value, values.get("holdout"))
        elif isinstance(value, list):
            sent.setlist(name, value)
        elif value is True:
            sent[name] = "1"
        elif value is not False and name != "holdout":
            sent[name] = value.replace("\n", "\r\n")
    return sent


def add_rows(sent, stem, rows, held):
    for no, row in enumerate(rows, 1):
        for column, text in row.items():
            sent.add(f"{stem}_{column}", text)
        if held and row.get("key") == held:
            sent["holdout"] = str(no)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step['kind']} {step.get('for', '')}{step.get('on', '')}")
def test_s40_a_form_says_what_is_stored(step):
    before = {**step, "step_no": 4, "name": "Name", "at": "2026-12-01T09:00", "latest": None, "next": {"x": [5]}}
    values = step_form.typed(step["kind"], form_of(before))
    found = step_form.step_of(values, kind=step["kind"], before=before, kinds=ATTRIBUTES)
    assert found == before
    assert StepDraft().load(found)["kind"] == step["kind"]


def test_every_kind_has_a_word_and_a_form():
    assert set(step_looks.KINDS) == set(KINDS) == set(step_form.PARTS)
    assert {name for _, names in step_looks.GROUPS for name in names} == set(KINDS)


def test_what_cannot_be_read_is_left_to_the_schema_as_it_was_typed():
    values = step_form.typed("change_points", MultiDict({"name": "P", "points": "many"}))
    step = step_form.step_of(values, kind="change_points", before={"step_no": 1}, kinds={})
    assert step["points"] == "many"
    values = step_form.typed("random_split", MultiDict([("branch_key", ""), ("branch_name", "A"),
                                                        ("branch_weight", "half")]))  # fmt: skip
    step = step_form.step_of(values, kind="random_split", before={"step_no": 1}, kinds={})
    assert step["branches"] == [{"key": "a", "name": "A", "weight": "half"}]


def test_new_ways_get_keys_that_are_free_and_gone_ones_keep_theirs():
    form = MultiDict()
    for key, name in [("b", "B"), ("", "New"), ("a", ""), ("", "Newer")]:
        form.add("branch_key", key)
        form.add("branch_name", name)
        form.add("branch_weight", "")
    values = step_form.typed("random_split", form)
    assert [(row["key"], row["name"]) for row in values["branches"] if row["name"]] == [
        ("b", "B"), ("a", "New"), ("c", "Newer")
    ]  # fmt: skip


def test_faults_stand_beside_their_inputs():
    values = step_form.shown({"kind": "random_split", "branches": [{"key": "a", "weight": 1}]})
    places = step_form.places("random_split", values)
    assert (places["/branches/0/weight"], places["/branches"], places["/at"]) == ("branch_weight_1", "branches", "at")
    values = step_form.shown({"kind": "set_attribute", "changes": [{"attribute": "city", "value": 1}]})
    assert step_form.places("set_attribute", values)["/changes/0"] == "change_attribute_1"


@pytest.mark.parametrize(
    "rule",
    ["FREQ=DAILY", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH", "FREQ=MONTHLY;BYMONTHDAY=1,15", "FREQ=MONTHLY;BYDAY=1MO"],
)
def test_recurrence_says_what_is_stored(rule):
    draft = {"recurrence": {"rule": rule, "until": "2027-01-31", "count": None}}
    shown = terms_form.shown(draft)
    form = MultiDict({name: text for name, text in shown.items() if isinstance(text, str)})
    for day in shown["recur_days"]:
        form.add("recur_days", day)
    values = terms_form.typed(form)
    assert terms_form.terms_of(values, kind=CampaignKind.DATED)["recurrence"] == draft["recurrence"]
    assert terms_form.terms_of(values, kind=CampaignKind.API)["recurrence"] is None


def test_r15_how_people_come_in_says_what_is_stored():
    entry = {"event": "order.placed", "leaving": "leave", "re_entry": "always", "every_minutes": 120}
    shown = terms_form.shown({"entry": entry})
    values = terms_form.typed(MultiDict({name: text for name, text in shown.items() if isinstance(text, str)}))
    assert terms_form.terms_of(values, kind=CampaignKind.FLOWING)["entry"] == entry


def test_s32_one_email_is_slim_and_a_flow_keeps_what_the_page_does_not_show():
    slim = {"steps": [{"step_no": 3, "kind": "email", "at": None, "next": {}}], "start": [3]}
    assert draft_form.is_slim(slim) and draft_form.is_slim({})
    assert not draft_form.is_slim({"steps": [{"step_no": 1, "kind": "wait"}]})
    draft = flow(email(1, 2), email(2), start=1)
    values = draft_form.shown(draft)
    form = MultiDict({name: text for name, text in values.items() if isinstance(text, str)})
    made = draft_form.draft_of(draft_form.typed(form), draft, kind=CampaignKind.DATED)
    assert (made["steps"], made["start"]) == (draft["steps"], [1])


def typed_again(shown, **more):
    """What the form sends back of the values that it shows, with what was typed into it."""
    form = MultiDict({name: text for name, text in {**shown, **more}.items() if isinstance(text, str)})
    form.setlist("window_days", more.get("window_days", shown["window_days"]))
    return draft_form.typed(form)


@pytest.mark.parametrize(
    "settings",
    [
        {"send_window": {"days": ["MO", "FR"], "from": "09:00", "until": "17:00"}, "in_silence": "discard"},
        {"send_window": {"days": ["SU"], "from": "22:00", "until": "06:00"}},
        {"in_silence": "discard"},
        {},
    ],
)
def test_r14_when_messages_may_leave_says_what_is_stored(settings):
    draft = {"settings": settings}
    made = draft_form.draft_of(typed_again(draft_form.shown(draft)), draft, kind=CampaignKind.DATED)["settings"]
    assert {name: made[name] for name in ("send_window", "in_silence") if name in made} == settings


def test_r14_a_send_window_typed_in_part_is_kept_for_its_errors_and_one_emptied_is_gone():
    window = {"days": ["MO"], "from": "09:00", "until": "17:00"}
    draft = {"settings": {"send_window": window, "in_silence": "discard"}}
    shown = draft_form.shown(draft)

    def made(**typed):
        return draft_form.draft_of(typed_again(shown, **typed), draft, kind=CampaignKind.API)["settings"]

    assert made(window_until=" ")["send_window"] == {"days": ["MO"], "from": "09:00"}
    assert made(window_days=["SU", "TU", "XX"])["send_window"]["days"] == ["TU", "SU"]
    assert made(window_days=[])["send_window"] == {**window, "days": []}
    emptied = made(window_days=[], window_from="", window_until="", in_silence="queue")
    assert not {"send_window", "in_silence"} & set(emptied)
    places = {place: name for place, name in draft_form.FIELDS.items() if "window" in place or "silence" in place}
    assert places == {
        "/settings/send_window": "window_days", "/settings/send_window/from": "window_from",
        "/settings/send_window/until": "window_until", "/settings/in_silence": "in_silence",
    }  # fmt: skip


def test_steps_change_places_with_their_times():
    """R3, S41: up and down, at the time of the place; not over a split, nor where ways meet."""
    draft = flow(email(1, 2, at="2026-12-01T09:00"), email(2, 3, at="2026-12-02T09:00"), split(3, a=4, b=5),
                 email(4, 6), email(5, 6), email(6))  # fmt: skip
    shape = shape_of(draft)
    assert [flow_edits.before_it(shape, no) for no in range(1, 7)] == [None, 1, None, None, None, None]
    assert [flow_edits.after_it(shape, no) for no in range(1, 7)] == [2, None, None, None, None, None]
    moved = flow_edits.move_up(draft, 2)
    assert outlined(moved)[0] == [2, 1, 3, {"a": [4], "b": [5]}, 6] or outlined(moved)[0][:3] == [2, 1, 3]
    assert [flow_edits.step_in(moved, no)["at"] for no in (2, 1)] == ["2026-12-01T09:00", "2026-12-02T09:00"]
    assert flow_edits.move_up(moved, 1)["steps"] == draft["steps"]
    with pytest.raises(ValueError, match="nothing is before step 3"):
        flow_edits.move_up(draft, 3)


def test_messages_at_once_move_together():
    draft = flow(email(1, 2), email(2, 3, 4), email(3, 5), email(4, 5), email(5))
    shape = shape_of(draft)
    assert [flow_edits.before_it(shape, no) for no in (3, 4, 5)] == [2, 2, 3]
    up = flow_edits.move_up(draft, 4)
    assert outlined(up)[0] == [1, (3, 4), 2, 5]
    assert outlined(flow_edits.move_up(draft, 5))[0] == [1, 2, 5, (3, 4)]


def test_what_a_test_of_variants_leads_to_stays_a_message():
    tested = {**split(1, a=2, b=3), "kind": "ab_test"}
    wait = {"step_no": 4, "kind": "wait", "name": "", "next": {"done": [5]}}
    shape = shape_of(flow(tested, email(2, 4), email(3, 6), wait, email(5), email(6)))
    assert [flow_edits.before_it(shape, no) for no in (4, 5, 6)] == [None, 4, 3]


def test_what_is_added_is_shown_as_it_was_typed():
    step = {
        "step_no": 1,
        "kind": "set_attribute",
        "changes": [{"attribute": "age", "add": 1.0}, {"attribute": "age", "add": 1.5}],
    }
    assert [row["text"] for row in step_form.shown(step)["changes"][:2]] == ["1", "1.5"]
