"""Numbers always balance, each person is counted once, whatever state chunks and deliveries are in (U4)."""

from collections import Counter

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas.campaigns.models import Campaign
from saas.kernel.paging import PageRequest
from saas.ledger.models import Chunk, Delivery
from saas.ledger.queries import numbers as ledger
from saas.reports.queries import campaign_report
from tests.integration.intake.sent import add_chunk, add_delivery, add_people, make_campaign

pytestmark = pytest.mark.integration

# What can have become of a person: the state of the first chunk, that of a second one (a retry), and the delivery.
# Each with the state that ledger.md gives them.
FATES = {
    "accepted": (("closed", None, (None, None)), "accepted"),
    "skipped": (("closed", None, ("skipped", "no_consent")), "skipped"),
    "rejected": (("closed", None, ("rejected", "refused_by_recipient")), "failed"),
    "render_failed": (("closed", None, ("render_failed", "template_failed")), "failed"),
    "failed": (("closed", None, ("failed", "tries_spent")), "failed"),
    "uncertain": (("closed", None, ("uncertain", "sender_died")), "uncertain"),
    "delivery_cancelled": (("closed", None, ("cancelled", None)), "cancelled"),
    "pending": (("pending", None, None), "open"),
    "in_flight": (("claimed", None, (None, None)), "open"),
    "skipped_in_flight": (("claimed", None, ("skipped", "suppressed")), "skipped"),
    "cancelled": (("cancelled", None, None), "cancelled"),
    "waiting": (("closed", "pending", ("waiting", "deferred")), "open"),
    "waiting_cancelled": (("closed", "cancelled", ("waiting", "deferred")), "cancelled"),
    "retried_accepted": (("closed", "closed", (None, None)), "accepted"),
    "retried_in_flight": (("closed", "claimed", (None, None)), "open"),
    "retried_uncertain": (("closed", "closed", ("uncertain", "no_answer")), "uncertain"),
    "retried_failed": (("closed", "closed", ("failed", "expired")), "failed"),
}
PEOPLE = 12


@pytest.fixture
def made(world, engine, app):
    found = make_campaign(engine, world.a, app.extensions["countersign"].vault)
    add_people(found, [f"p{number}@example.org" for number in range(PEOPLE)])
    return found


def tell(session, made, fates):
    """Write the fates into chunks (people of one fate share them) and deliveries."""
    ids = list(made.entries.values())
    for name in dict.fromkeys(fates):
        group = [entry_id for entry_id, fate in zip(ids, fates, strict=False) if fate == name]
        (first, second, delivery), _ = FATES[name]
        held_by = add_chunk(session, made, group, first)
        if second is not None:
            retry = add_chunk(session, made, group, second)
            held_by = retry if second in {"closed", "claimed"} else held_by
        for entry_id in group if delivery is not None else ():
            add_delivery(session, made, entry_id, held_by, exc=delivery[0], reason=delivery[1])


def check(session, made, fates):
    expected = Counter(FATES[fate][1] for fate in fates)
    report = campaign_report(session, session.get_one(Campaign, (made.place.tenant_id, made.campaign_id)))
    assert report.balanced
    assert report.planned == report.numbers.planned == len(fates)
    counted = {
        state: getattr(report.numbers, state)
        for state in ("accepted", "skipped", "failed", "cancelled", "uncertain", "open")
    }
    assert {state: count for state, count in counted.items() if count} == dict(expected)
    assert sum(report.failed_by.values()) == report.numbers.failed
    assert sum(report.skipped_by_reason.values()) == report.numbers.skipped
    assert sum(report.uncertain_by.values()) == report.numbers.uncertain
    listed = ledger.people(session, [made.run_id], state=None, reason=None, page=PageRequest(200)).rows
    assert Counter(person.state for person in listed) == expected
    assert len({person.entry_id for person in listed}) == len(listed) == len(fates)
    for state, count in counted.items():
        found = ledger.people(session, [made.run_id], state=state, reason=None, page=PageRequest(200)).rows
        assert len(found) == count


@pytest.mark.parametrize("fate", FATES)
def test_each_fate_has_its_state(made, fate):
    with made.session() as session:
        tell(session, made, [fate])
        check(session, made, [fate])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40)
@given(st.lists(st.sampled_from(sorted(FATES)), max_size=PEOPLE))
def test_numbers_balance_in_every_mixture(made, fates):
    with made.session() as session:  # never committed: the next example starts from nothing
        tell(session, made, fates)
        check(session, made, fates)


any_state = st.sampled_from(["pending", "claimed", "closed", "cancelled"])
any_exc = st.sampled_from([None, "skipped", "rejected", "render_failed", "failed", "waiting", "uncertain", "cancelled"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40)
@given(
    st.lists(st.tuples(any_state, st.sets(st.integers(0, PEOPLE - 1), min_size=1)), min_size=1, max_size=5),
    st.dictionaries(st.integers(0, PEOPLE - 1), any_exc),
)
def test_numbers_balance_even_in_states_that_cannot_be(made, chunks, deliveries):
    """People in any chunks, with any outcome: nobody is lost, nobody is counted twice."""
    ids = list(made.entries.values())
    with made.session() as session:
        holders = {}
        for state, members in chunks:
            no = add_chunk(session, made, [ids[number] for number in members], state)
            holders |= dict.fromkeys(members, no)
        for number, exc in deliveries.items():
            if number in holders:
                add_delivery(session, made, ids[number], holders[number], exc=exc)
        report = campaign_report(session, session.get_one(Campaign, (made.place.tenant_id, made.campaign_id)))
        assert report.balanced and report.planned == len(holders)


def test_another_workspaces_people_are_never_counted(made, world, engine, app):
    other = make_campaign(engine, world.b, app.extensions["countersign"].vault)
    add_people(other, ["p0@example.org"])
    with other.session() as session:
        add_chunk(session, other, [other.entries["p0@example.org"]], "pending")
        session.commit()
    with made.session() as session:
        assert ledger.numbers(session, [other.run_id])[other.run_id].planned == 0
        assert ledger.planned(session, [other.run_id]) == {other.run_id: 0}
        assert ledger.people(session, [other.run_id], state=None, reason=None, page=PageRequest()).rows == []
        assert session.scalar(sa.select(sa.func.count()).select_from(Chunk)) == 0
        assert session.scalar(sa.select(sa.func.count()).select_from(Delivery)) == 0
