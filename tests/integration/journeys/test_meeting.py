"""Due work meets somebody who holds the campaign and arms the same work: neither waits for the other for ever (R9)."""

import threading

import pytest
import sqlalchemy as sa

from saas.campaigns.models import Campaign
from saas.campaigns.types import START_CAMPAIGN
from saas.ledger.models import Run
from saas.ledger.types import FLOW_STEP, flow_subject
from saas.platform.agenda import service as agenda
from saas.platform.agenda.models import Agenda
from saas.sending.types import send_work
from tests.integration.workers.rig import wait_until

pytestmark = pytest.mark.integration

WAITING = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")


def meet(flow, work, subject, moment, *, read):
    """Hold the campaign while a worker comes to the work; arm it when the worker waits, or has gone on."""
    with flow.session() as holder, flow.session() as looker:
        wanted = sa.select(Campaign.campaign_id).where(Campaign.campaign_id == flow.id)
        holder.execute(wanted.with_for_update(read=read)).one()
        flow.room.at(moment)
        worker = threading.Thread(target=flow.room.run, args=(work.queue,))
        worker.start()
        wait_until(lambda: not worker.is_alive() or looker.scalar(WAITING), what="the worker met the holder")
        agenda.arm(holder, work=work, subject=subject, due_at=moment)
        holder.commit()
    worker.join()
    left = flow.rows(Agenda, Agenda.kind == work.name, Agenda.subject == str(subject))
    assert [row.last_error for row in left if row.failures] == [], "the database broke nothing off"


def test_a_start_meets_what_ends_a_step(flow):
    flow.people(2)
    flow.publish(flow.message(1, 0)).run(-5)
    meet(flow, START_CAMPAIGN, flow.id, flow.at(0), read=False)
    flow.run(1)
    assert flow.sent(1) == sorted(flow.addresses)


def waiting(flow):
    """A campaign on call whose two people wait for an hour after their first message."""
    flow.people(2)
    flow.publish(
        flow.message(1, after=2),
        flow.step(2, "wait", after={"done": 3}, **{"for": "delay", "minutes": 60}),
        flow.message(3),
        kind="api",
    )
    flow.room.at(flow.at(-55)).run()
    flow.call(*flow.addresses)
    flow.run(-50)
    return max(wait.due_at for wait in flow.waits())


def test_a_turn_of_a_step_meets_a_start(flow):
    due_at = waiting(flow)
    meet(flow, FLOW_STEP, flow_subject(flow.id, 2), due_at, read=False)
    flow.room.later(60).run()
    assert flow.sent(3) == sorted(flow.addresses)


def test_a_sender_without_work_meets_a_turn_that_brings_some(flow):
    due_at = waiting(flow)
    (run,) = flow.rows(Run, Run.step_no == 1)
    work = send_work("marketing")
    with flow.session() as session:
        agenda.arm(session, work=work, subject=run.run_id, due_at=flow.at(-40))
        session.commit()
    meet(flow, work, run.run_id, flow.at(-40), read=True)
    flow.room.at(due_at).run()
    flow.room.later(60).run()
    assert flow.sent(3) == sorted(flow.addresses)


def test_whoever_holds_the_campaign_leaves_what_is_in_hand(flow):
    work, names = send_work("marketing"), {"subject": "a run", "due_at": flow.at(0)}
    with flow.session() as sender, flow.session() as starter:
        assert agenda.arm_unless_held(starter, work=work, **names), "there is no row yet"
        starter.commit()
        row = sa.select(Agenda.subject).where(Agenda.tenant_id == flow.tenant_id, Agenda.subject == "a run")
        assert sender.scalar(row.with_for_update(key_share=True)) == "a run"
        assert not agenda.arm_unless_held(starter, work=work, **names), "a sender has it in hand"
        starter.rollback()
        sender.rollback()
        assert agenda.arm_unless_held(starter, work=work, **names)
        starter.execute(sa.delete(Agenda).where(Agenda.tenant_id == flow.tenant_id, Agenda.subject == "a run"))
        starter.commit()
