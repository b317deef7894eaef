"""The sample pack over real rows (U15): every language, both outcomes, each missing attribute, without loading all."""

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from saas.campaigns.rules.samples import Ask, Condition, Facet, FacetKind, holds
from saas.campaigns.service.samples import _holds
from saas.kernel.ids import uuid7
from saas.ledger.models import Contact
from saas.permissions.types import Role
from tests import scenes
from tests.changed import change, register
from tests.worlds import bound

pytestmark = pytest.mark.integration

HTML = (
    "<p>{% if contact.tier == 'gold' %}Gold{% else %}Plain{% endif %}{% if contact.points > 100 %}Many{% endif %}"
    "{% if contact.city contains 'Os' %}Near{% endif %} {{ contact.first_name }}</p>"
    '<p><a href="{{ unsubscribe_url }}">Out</a></p>'
)


def put(world, key, value, emails):
    change(
        world,
        "UPDATE contact SET attributes = attributes || jsonb_build_object(CAST(:k AS text), CAST(:v AS jsonb)) "
        "WHERE email = ANY(:e)",
        k=key, v=value, e=emails,
    )  # fmt: skip


def submitted(world, list_id, html=HTML, **audience):
    channel = scenes.add_channel(world, world.a, 25, name=f"Club {uuid7().hex}")
    campaign_id = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, channel, scenes.soon(), html=html) | audience
    scenes.save(world, world.a, campaign_id, draft)
    scenes.submit(world, world.a, campaign_id)
    return campaign_id


def review(world, campaign_id, role=Role.APPROVER):
    answer = world.client(world.a, role).get(f"/campaigns/{campaign_id}/revisions/1/review")
    assert answer.status_code == 200, answer.text
    return answer.get_json()


@pytest.fixture
def crowd(world):
    for key in ("tier", "points"):
        register(world, world.a, key, kind="number" if key == "points" else "text")
    list_id, who = scenes.add_people(world, world.a, 60, city="Bergen")
    put(world, "language", '"de"', who[10:20])
    put(world, "language", '"nn"', who[59:])
    put(world, "tier", '"gold"', who[5:15])
    put(world, "points", "250", who[12:13])
    put(world, "city", '"Oslo"', who[30:31])
    change(world, "UPDATE contact SET attributes = attributes - 'first_name' WHERE email = :e", e=who[40])
    return list_id, who


def test_u15_the_pack_covers_what_differs(world, crowd):
    list_id, _ = crowd
    found = review(world, submitted(world, list_id))
    samples = found["steps"][0]["samples"]
    why = [(f["kind"], f["attribute"], f["value"], f["holds"]) for s in samples for f in s["why"]]
    assert len(why) == len(set(why))
    for wanted in (("language", "language", "en", True), ("language", "language", "de", True), ("language", "language", "nn", True),
                   ("condition", "tier", "gold", True), ("condition", "tier", "gold", False), ("condition", "points", 100, True),
                   ("condition", "city", "Os", True), ("missing", "first_name", None, True), ("missing", "points", None, True)):  # fmt: skip
        assert wanted in why, wanted
    assert [(f["kind"], f["attribute"]) for f in found["nobody"]] == [("missing", "city")]
    assert found["left_out"] == []
    assert len(samples) <= 7
    assert review(world, submitted(world, list_id))["steps"][0]["samples"] == samples


def test_u15_each_is_shown_with_what_they_are_there_for(world, crowd):
    list_id, _ = crowd
    for sample in review(world, submitted(world, list_id))["steps"][0]["samples"]:
        for facet in sample["why"]:
            if (facet["attribute"], facet["value"]) == ("tier", "gold"):
                assert ("Gold" in sample["html"]) is facet["holds"]
            if (facet["attribute"], facet["value"]) == ("city", "Os"):
                assert ("Near" in sample["html"]) is facet["holds"]


def test_r14_masked_people_take_the_same_branches(world, crowd):
    list_id, _ = crowd
    campaign_id = submitted(world, list_id)
    seen, masked = (review(world, campaign_id, role)["steps"][0]["samples"] for role in (Role.APPROVER, Role.VIEWER))
    assert [s["why"] for s in seen] == [s["why"] for s in masked]
    for one, other in zip(seen, masked, strict=True):
        for word in ("Gold", "Plain", "Many", "Near"):
            assert (word in one["html"]) is (word in other["html"])
    assert "Bergen" not in str(masked)


def test_u15_only_the_chosen_are_loaded(world, crowd):
    list_id, _ = crowd
    campaign_id, rows = submitted(world, list_id), []

    def note(cursor, statement):
        if "contact" in statement and cursor.description:
            rows.append(cursor.rowcount)

    def after(_conn, cursor, statement, *_):
        note(cursor, statement)

    event.listen(world.engine, "after_cursor_execute", after)
    try:
        review(world, campaign_id)
    finally:
        event.remove(world.engine, "after_cursor_execute", after)
    assert rows
    assert max(rows) <= 20


def test_a_rule_with_several_ways_in_shows_each(world, crowd):
    list_id, who = crowd
    rule = {
        "any": [{"attribute": "tier", "op": "eq", "value": "gold"}, {"attribute": "city", "op": "eq", "value": "Oslo"}]
    }
    made = world.client(world.a, Role.MANAGER).post(
        "/audiences",
        {"name": "Two ways", "project_id": world.a.prj, "list_id": list_id, "rule": rule, "visibility": "public"},
    )
    assert made.status_code == 201, made.text
    found = review(world, submitted(world, list_id, audience={"audience_id": made.get_json()["audience_id"]}))
    assert found["count"] == 11
    branches = {f["rule"]: s["email"] for s in found["steps"][0]["samples"] for f in s["why"] if f["kind"] == "branch"}
    assert len(branches) == 2
    assert who[30] in branches.values()


def test_nobody_who_would_be_skipped_is_a_sample(world, crowd):
    list_id, who = crowd
    change(
        world,
        "DELETE FROM consent c USING contact ct WHERE ct.contact_id = c.contact_id AND ct.email = ANY(:e)",
        e=who[:58],
    )
    found = review(world, submitted(world, list_id))
    assert found["reachable"] == 2
    assert {s["email"] for s in found["steps"][0]["samples"]} <= set(who[58:])


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(-5, 5).map(lambda x: round(x, 2)),
    st.sampled_from(["", "gold", "Gold", "5", "Oslo", "false", "null"]),
)  # fmt: skip
ASKED = st.one_of(
    st.just(Condition("x", Ask.IS_SET)),
    st.builds(Condition, st.just("x"), st.just(Ask.EQUALS), st.one_of(st.booleans(), st.integers(-5, 5), st.sampled_from(["gold", "5"]))),
    st.builds(Condition, st.just("x"), st.just(Ask.CONTAINS), st.sampled_from(["o", "sl"])),
    st.builds(Condition, st.just("x"), st.sampled_from([Ask.LESS, Ask.AT_MOST, Ask.MORE, Ask.AT_LEAST]), st.integers(-5, 5)),
)  # fmt: skip


def test_the_database_answers_as_the_rule_does(world, crowd):
    """Both halves of the pack, the one in SQL and the one that masks, mean the same by a condition."""
    _, who = crowd
    with bound(world.engine, world.a) as session:
        row = session.scalars(sa.select(Contact).where(Contact.email == who[0])).one()

        @settings(max_examples=300)
        @given(VALUES, ASKED, st.booleans())
        def same(value, condition, outcome):
            session.execute(
                sa.update(Contact)
                .where(Contact.tenant_id == row.tenant_id, Contact.contact_id == row.contact_id)
                .values(attributes={"x": value})
            )
            facet = Facet(FacetKind.CONDITION, "x", condition.ask, condition.value, outcome)
            found = session.scalar(
                sa.select(_holds(facet, {}, row.tenant_id)).where(
                    Contact.tenant_id == row.tenant_id, Contact.contact_id == row.contact_id
                )
            )
            assert found is (holds(condition, value) is outcome)

        same()
        session.rollback()
