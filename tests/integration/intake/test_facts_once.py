"""Each fact once: repeated, at the same time, and while somebody is erased."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.content.types import Purpose
from saas.intake.service import links
from saas.intake.types import DeadLink
from saas.ledger.models import Consent, Contact, Delivery, Event
from tests.integration.intake.sent import make_campaign, send_to

pytestmark = pytest.mark.integration

ANNA = "anna@example.org"
NOW = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def made(world, engine, app):
    found = make_campaign(engine, world.a, app.extensions["countersign"].vault)
    send_to(found, [ANNA])
    return found


def events(made):
    with made.session() as session:
        return session.scalars(sa.select(Event).order_by(Event.occurred_at)).all()


def click(made, at, *, link_no=0):
    with Session(made.engine) as session:
        found = links.find(session, token=made.token(ANNA, Purpose.CLICK), link_no=link_no, link_key=made.link_key)
        links.note_click(session, destination=found, user_agent=FIREFOX, now=at)
        assert session.scalar(sa.text("SHOW synchronous_commit")) == "off"
        session.commit()


def leave(made, at=NOW):
    with Session(made.engine) as session:
        links.unsubscribe(session, token=made.token(ANNA, Purpose.UNSUBSCRIBE), link_key=made.link_key, now=at)
        assert session.scalar(sa.text("SHOW synchronous_commit")) == "on"
        session.commit()


def test_a_click_is_one_fact_per_link_and_second(made):
    click(made, NOW)
    click(made, NOW + timedelta(milliseconds=700))
    click(made, NOW, link_no=1)
    assert len(events(made)) == 2
    click(made, NOW + timedelta(seconds=1))
    found = events(made)
    assert len(found) == 3
    assert {event.occurred_at.microsecond for event in found} == {0}
    assert {(e.campaign_id, e.contact_id, e.step_no) for e in found} == {(made.campaign_id, made.contacts[ANNA], 1)}


def test_many_requests_at_once_unsubscribe_once(made):
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(leave, made, NOW + timedelta(milliseconds=n)) for n in range(12)]:
            done.result()
    assert [event.kind for event in events(made)] == ["unsubscribed"]
    with made.session() as session:
        row = session.get_one(Consent, (made.place.tenant_id, made.contacts[ANNA], "newsletter"))
        assert (row.status, row.source) == ("withdrawn", "unsubscribe")
        assert NOW <= row.at < NOW + timedelta(milliseconds=12)


def test_sixty_days_later_it_still_works(made):
    leave(made, NOW + timedelta(days=90))
    assert events(made)[0].occurred_at == NOW + timedelta(days=90)


def test_an_unsubscribe_waits_for_an_erasure_and_leaves_nothing(made):
    tenant, contact = made.place.tenant_id, made.contacts[ANNA]
    with made.session() as eraser, ThreadPoolExecutor(1) as pool:
        eraser.execute(sa.delete(Consent).where(Consent.contact_id == contact))
        eraser.execute(sa.select(Contact.contact_id).where(Contact.contact_id == contact).with_for_update())
        leaving = pool.submit(leave, made)
        with pytest.raises(TimeoutError):
            leaving.result(timeout=0.5)
        eraser.execute(
            sa.update(Contact).where(Contact.contact_id == contact).values(email=None, email_key=None, erased_at=NOW)
        )
        eraser.commit()
        leaving.result(timeout=60)
    assert events(made) == []
    with made.session() as session:
        assert session.get(Consent, (tenant, contact, "newsletter")) is None


def test_what_retention_swept_leads_nowhere(made):
    with made.session() as session:
        session.execute(sa.text("SET LOCAL ROLE csn_sweep"))
        session.execute(sa.delete(Delivery).where(Delivery.tenant_id == made.place.tenant_id))
        session.commit()
    with pytest.raises(DeadLink):
        click(made, NOW)
    with pytest.raises(DeadLink):
        leave(made)
