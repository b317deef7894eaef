"""What lives meet too seldom, made to happen: each is what one known-bad engine of tests/mutants does wrong."""

import threading
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from saas.kernel import fault
from saas.kernel.ids import show
from saas.sending.service import journal
from saas.sending.service.owner import lock_key
from saas.sending.service.recovery import recover_dead_senders
from tests.lives.living import Living
from tests.lives.nursery import Order
from tests.lives.plan import Event, Life, life
from tests.reference.words import Sending, Somebody

pytestmark = pytest.mark.integration
PEOPLE = 6
_CLAIM = sa.text("UPDATE chunk SET state = 'claimed', owner = :owner, token = nextval('chunk_token_seq')")


@pytest.fixture
def living(installation):
    """Makes a life of six people and one campaign, which the test then plays by hand."""
    made = []

    def begin(**plan) -> Living:
        start = life(0).start
        people = tuple(Somebody(no, 0, "given", listed=True) for no in range(PEOPLE))
        others = (Somebody(PEOPLE, 1, "given", listed=True),)
        campaign = Sending(0, 0, **{"marketing": True, "zone": "Europe/Oslo", "wall": None, **plan})
        found = Living(installation, Life(0, start, people + others, (campaign,), (), (), ()))
        found._begin()
        made.append(found)
        return found

    yield begin
    for each in made:
        each._leave()


def call(found, *people):
    body = [{"contact_id": show("ctc", found.ground.contacts[p]), "context": {"code": f"e{p}"}} for p in people]
    assert found._post(0, 0, "call", {"recipients": body}) == ["accepted"] * len(people)


def test_a_stop_waits_for_a_claim(living, installation, monkeypatch):
    """Who was told "stopped" has no claim behind it that they do not know of."""
    found = living()
    found._visit()
    call(found, *range(PEOPLE))
    tried = []

    def at(name):
        if name == "claim.after":
            try:
                stopped = found._order(Event(0, "stop", 0), wait_ms=50)
            except OperationalError:
                stopped = False
            tried.append(stopped)

    monkeypatch.setattr(fault, "point", at)
    found._run()
    assert tried[0] is False, "the campaign was stopped while a claim of it went on"


def doomed(found, installation, *, point, nth=1):
    """Send out a sender that stands still somewhere. Returns its home, its owner id and its process."""
    home = found.home
    installation.provider.sender = "doomed"
    order = Order(str(home), found.clock.at.isoformat(), 0, installation.provider.address, point, nth)
    state, pid = installation.nursery.send_out(order)
    assert state == "stopped"
    (owner,) = journal.owners(home)
    return home, owner, pid


def claimed(found):
    with found.ground.session(0) as session:
        return session.scalar(sa.text("SELECT count(*) FROM chunk WHERE state = 'claimed'"))


def test_a_dead_sender_whose_claim_may_still_commit_is_not_buried(living, installation):
    """Its process is gone, and PostgreSQL has not noticed: what it began may be committed after all."""
    found = living()
    found._visit()
    call(found, *range(PEOPLE))
    home, owner, pid = doomed(found, installation, point="claim.after")
    installation.nursery.kill(pid)
    engine, later = installation.stage.engine, found.clock.at + timedelta(days=1)
    tenant, key = found.ground.places[0].tenant_id, {"key": lock_key(owner)}
    with engine.connect() as late:
        late.execute(sa.text("SELECT pg_advisory_lock_shared(:key)"), key)
        late.commit()
        late.execute(sa.text(f"SET LOCAL app.tenant_id = '{tenant}'"))
        late.execute(_CLAIM, {"owner": owner})
        recover_dead_senders(engine, later, home=home)
        late.commit()
        late.execute(sa.text("SELECT pg_advisory_unlock_shared(:key)"), key)
        late.commit()
    until = time.monotonic() + 60
    while claimed(found) and time.monotonic() < until:
        recover_dead_senders(engine, later, home=home)
        time.sleep(0.01)
    assert claimed(found) == 0, "nobody will ever settle this chunk"


def test_a_living_sender_without_a_database_is_not_buried(living, installation):
    """Its connections are gone, it goes on sending: nobody takes its chunk."""
    found = living()
    found._visit()
    call(found, *range(PEOPLE))
    home, owner, pid = doomed(found, installation, point="smtp.after_dot", nth=2)
    engine = installation.stage.engine
    try:
        with engine.begin() as connection:
            connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
                    " AND (classid::bigint << 32 | objid::bigint) = :key"
                ),
                {"key": lock_key(owner)},
            )
        for _ in range(20):
            recover_dead_senders(engine, found.clock.at + timedelta(seconds=40), home=home)
            time.sleep(0.005)
        assert claimed(found) == 1, "the chunk of a living sender was taken from it"
    finally:
        installation.nursery.wake(pid)


def test_one_key_at_the_same_time_has_one_effect(living, installation):
    """Two calls with one Idempotency-Key, both held up where they enter people."""
    found = living(marketing=False)
    found._visit()
    client = found.ground.caller(0, found.clock.at)
    url = f"/campaigns/{show('cam', found.ground.campaigns[0])}/trigger"
    body = {"recipients": [{"contact_id": show("ctc", found.ground.contacts[0]), "context": {"code": "e1"}}]}
    statuses = []

    def ask():
        statuses.append(client.post(url, body, headers={"Idempotency-Key": "one"}).status_code)

    with installation.stage.owner_engine.begin() as holding:
        holding.exec_driver_sql("LOCK TABLE entry IN SHARE MODE")
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
    for thread in threads:
        thread.join()
    with found.ground.session(0) as session:
        assert session.scalar(sa.text("SELECT count(*) FROM entry")) == 1
    assert set(statuses) <= {202, 409}
