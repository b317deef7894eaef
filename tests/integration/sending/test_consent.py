"""Who may not be sent to is skipped with a reason, also when they say so while a chunk is on its way (R4)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.ledger.models import Consent, Contact, Suppression
from saas.platform.agenda.types import Queue
from tests import scenes
from tests.worlds import bound

pytestmark = pytest.mark.integration


def test_r4_every_claim_checks_consent_suppression_address_and_erasure(world, room, sink, counts):
    at = scenes.soon()
    campaign_id, addresses = scenes.approved_campaign(world, world.a, people=6, port=sink.port, at=at)
    with bound(world.engine, world.a) as session:
        tenant = world.a.tenant_id
        rows = {c.email: c for c in session.scalars(sa.select(Contact).where(Contact.tenant_id == tenant))}
        withdrawn, missing, suppressed, erased, nameless = (rows[a] for a in addresses[:5])
        session.execute(
            sa.update(Consent)
            .where(Consent.tenant_id == tenant, Consent.contact_id == withdrawn.contact_id)
            .values(status="withdrawn")
        )
        session.execute(sa.delete(Consent).where(Consent.tenant_id == tenant, Consent.contact_id == missing.contact_id))
        session.add(Suppression(tenant_id=tenant, address_hash=suppressed.address_hash, reason="hard_bounce", at=at))
        nameless.email = nameless.email_key = nameless.address_hash = None
        session.flush()
        session.commit()
    room.at(at).run(Queue.MAINTENANCE)
    with bound(world.engine, world.a) as session:
        session.execute(
            sa.update(Contact)
            .where(Contact.tenant_id == world.a.tenant_id, Contact.contact_id == erased.contact_id)
            .values(erased_at=at)
        )
        session.commit()
    room.run()
    found = counts(world.a, campaign_id)
    assert (found.planned, found.accepted, found.skipped) == (6, 1, 5)
    assert found.why["skipped"] == {
        "unsubscribed": 1, "no_consent": 1, "suppressed": 1, "erased": 1, "no_address": 1,
    }  # fmt: skip
    assert [m.rcpt for m in sink.messages] == [addresses[5]]


def test_r4_later_joiners_do_not_enter_and_leavers_stay(world, room, sink, counts):
    at = scenes.soon()
    campaign_id, _ = scenes.approved_campaign(world, world.a, people=3, port=sink.port, at=at)
    room.at(at).run(Queue.MAINTENANCE)
    scenes.add_people(world, world.a, 2, tag="late")
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("INSERT INTO list_member SELECT :t, l.list_id, c.contact_id, now() FROM contact_list l, contact c"
                                " WHERE l.name = 'Club p' AND c.email LIKE 'late%'"), {"t": world.a.tenant_id})  # fmt: skip
        session.execute(
            sa.text(
                "DELETE FROM list_member m USING contact c WHERE c.contact_id = m.contact_id AND c.email = 'p0@example.org'"
            )
        )
        session.commit()
    room.run()
    assert counts(world.a, campaign_id).planned == 3
    assert sorted(m.rcpt for m in sink.messages) == [f"p{n}@example.org" for n in range(3)]


def test_unsubscribe_between_claim_and_message_is_honoured(world, room, sink, counts, monkeypatch):
    """ledger.md: between two messages the sender looks at consent changes newer than the claim."""
    from saas.sending.service import watch

    at = scenes.soon()
    campaign_id, _ = scenes.approved_campaign(world, world.a, people=5, port=sink.port, at=at, connections=1)
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.0)

    def unsubscribe_one():
        if len(sink.messages) == 1:
            with bound(world.engine, world.a) as session:
                # Last in the order of sending: the next one's envelope may be open already.
                gone.append(session.scalar(sa.text("SELECT email FROM contact ORDER BY contact_id DESC LIMIT 1")))
                session.execute(sa.text(
                    "UPDATE consent SET status = 'withdrawn', at = :now FROM contact c"
                    " WHERE c.contact_id = consent.contact_id AND c.email = :who"
                ), {"now": at + timedelta(seconds=1), "who": gone[0]})  # fmt: skip
                session.commit()

    gone = []
    sink.after = unsubscribe_one
    room.at(at).run()
    found = counts(world.a, campaign_id)
    assert (found.planned, found.accepted, found.skipped) == (5, 4, 1)
    assert gone[0] not in [m.rcpt for m in sink.messages]
