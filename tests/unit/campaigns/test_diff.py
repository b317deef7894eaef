"""Differences between two signed documents (U7): complete, exact, in pieces that add up."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.campaigns.rules.diff import MAX_LINES, Change, Mark, Part, differences, lines, words

DOCUMENT = {
    "format": 1, "campaign_id": "c", "kind": "dated", "purpose": "marketing", "topic": "newsletter",
    "audience": {"list_id": "l", "rule": {"all": []}}, "payload": [], "workspace": {"name": "Northwind Outdoor"},
    "time_zone": "Europe/Oslo",
    "settings": {"speed_per_hour": 10, "waves": [], "frequency_cap": {"messages": 3, "days": 7},
                 "quiet_hours": {"from": "21:00", "until": "08:00"}},
    "steps": [
        {"step_no": 1, "kind": "email", "name": "One", "channel_id": "x", "channel": {"from_name": "Club", "host": "h"},
         "at": {"wall": "2026-11-20T07:00", "zone": "Europe/Oslo"}, "links": ["a"], "used": ["contact.a"],
         "content": {"subject": "s", "preheader": "p", "html": "h", "text": "t"}},
    ],
}  # fmt: skip
LEAVES = {
    ("topic",): Part.AUDIENCE, ("kind",): Part.STEPS, ("purpose",): Part.OTHER, ("format",): Part.OTHER,
    ("audience", "list_id"): Part.AUDIENCE, ("audience", "rule"): Part.AUDIENCE, ("time_zone",): Part.SCHEDULE,
    ("payload",): Part.OTHER, ("workspace", "name"): Part.OTHER, ("settings", "speed_per_hour"): Part.DELIVERY,
    ("settings", "waves"): Part.DELIVERY, ("settings", "frequency_cap"): Part.DELIVERY,
    ("settings", "quiet_hours"): Part.DELIVERY,
    ("settings", "something_new"): Part.DELIVERY, ("something_new",): Part.OTHER,
}  # fmt: skip
STEP_LEAVES = {
    ("name",): Part.STEPS, ("kind",): Part.STEPS, ("channel_id",): Part.SENDER, ("channel", "from_name"): Part.SENDER,
    ("channel", "host"): Part.SENDER, ("channel", "new"): Part.SENDER, ("at",): Part.SCHEDULE,
    ("content", "subject"): Part.CONTENT, ("content", "preheader"): Part.CONTENT, ("content", "html"): Part.CONTENT,
    ("content", "text"): Part.CONTENT, ("something_new",): Part.OTHER,
}  # fmt: skip


def put(document, path, value):
    for name in path[:-1]:
        document = document[name]
    document[path[-1]] = value


def test_the_same_document_says_the_same():
    assert differences(DOCUMENT, copy.deepcopy(DOCUMENT)) == []


@pytest.mark.parametrize(("path", "part"), LEAVES.items())
def test_u7_every_leaf_is_seen(path, part):
    after = copy.deepcopy(DOCUMENT)
    put(after, path, "other")
    (found,) = differences(DOCUMENT, after)
    assert (found.part, found.field, found.step_no, found.after) == (part, ".".join(path), None, "other")


@pytest.mark.parametrize(("path", "part"), STEP_LEAVES.items())
def test_u7_every_leaf_of_a_step_is_seen(path, part):
    after = copy.deepcopy(DOCUMENT)
    put(after["steps"][0], path, "other")
    (found,) = differences(DOCUMENT, after)
    assert (found.part, found.field, found.step_no, found.after) == (part, ".".join(path), 1, "other")


def test_a_step_that_is_new_or_gone_is_one_change():
    after = copy.deepcopy(DOCUMENT)
    after["steps"].append({**copy.deepcopy(DOCUMENT["steps"][0]), "step_no": 2, "name": "Two"})
    assert differences(DOCUMENT, after) == [Change(Part.STEPS, "step", 2, None, "Two")]
    assert differences(after, DOCUMENT) == [Change(Part.STEPS, "step", 2, "Two", None)]


def test_an_audience_that_calls_name_instead():
    after = copy.deepcopy(DOCUMENT)
    after["audience"] = None
    assert {change.part for change in differences(DOCUMENT, after)} == {Part.AUDIENCE}


def test_a_setting_that_documents_of_old_did_not_know():
    """What says nothing and what is not there say the same; what says something does not."""
    before = {key: value for key, value in DOCUMENT.items() if key != "settings"}
    after = copy.deepcopy(DOCUMENT)
    after["settings"] = {"speed_per_hour": None}
    assert differences(before, after) == []
    after["settings"] = {"speed_per_hour": 5}
    assert [change.field for change in differences(before, after)] == ["settings.speed_per_hour"]


@pytest.mark.parametrize(("old", "new"), [(True, 1), (False, 0), ([True], [1]), ({"a": True}, {"a": 1})])
def test_yes_is_not_one(old, new):
    before, after = copy.deepcopy(DOCUMENT), copy.deepcopy(DOCUMENT)
    before["payload"], after["payload"] = old, new
    assert len(differences(before, after)) == 1


def joined(pieces, *marks):
    return "".join(piece.text for piece in pieces if piece.mark in marks)


TEXT = st.text(alphabet="ab \n", max_size=60)


@given(TEXT, TEXT)
def test_u7_words_add_up_to_both_texts(before, after):
    pieces = words(before, after)
    assert joined(pieces, Mark.SAME, Mark.REMOVED) == before
    assert joined(pieces, Mark.SAME, Mark.ADDED) == after


@given(st.lists(st.sampled_from("abc"), max_size=30), st.lists(st.sampled_from("abc"), max_size=30))
def test_u7_lines_add_up_to_both_texts(old, new):
    pieces = lines("\n".join(old), "\n".join(new))
    gap = sum(int(piece.text) for piece in pieces if piece.mark is Mark.GAP)
    kept = sum(piece.mark is Mark.SAME for piece in pieces)
    removed, added = (sum(piece.mark is mark for piece in pieces) for mark in (Mark.REMOVED, Mark.ADDED))
    assert (kept + gap + removed, kept + gap + added) == (len(old), len(new))


def test_html_in_one_line_is_compared_tag_by_tag():
    pieces = lines("<p>a</p><p>b</p><p>c</p><p>d</p><p>e</p>", "<p>a</p><p>b</p><p>c</p><p>d</p><p>f</p>")
    assert [(piece.mark, piece.text) for piece in pieces] == [
        (Mark.GAP, "2"), (Mark.SAME, "<p>c</p>"), (Mark.SAME, "<p>d</p>"),
        (Mark.REMOVED, "<p>e</p>"), (Mark.ADDED, "<p>f</p>"),
    ]  # fmt: skip


def test_texts_without_end_are_not_compared():
    assert lines("a\n" * (MAX_LINES + 1), "a") is None
    assert [piece.mark for piece in words("a " * 500, "b")] == [Mark.REMOVED, Mark.ADDED]
