"""Message step, channel email: a run, and its people frozen into chunks in order of contact id."""

import sqlalchemy as sa

from saas.campaigns.steps import email
from saas.journeys.sets.messages import freeze, send_to_whoever_came, skip_all
from saas.journeys.steps.kind import StepWork, Turn, Visit
from saas.ledger.types import WaitStage


def _cohort(visit: Visit) -> bool:
    """Deal everybody out to chunks; the senders do the rest."""
    if visit.too_late:
        skip_all(visit.session, visit.run, visit.people, reason=visit.reason, now=visit.now)
        return True
    freeze(
        visit.session,
        visit.run,
        visit.people,
        document=visit.document,
        purpose=visit.campaign.purpose,
        now=visit.now,
    )
    return False


def _stream(turn: Turn) -> None:
    send_to_whoever_came(
        turn.session, turn.spot, document=turn.document, campaign=turn.campaign, revision=turn.revision, now=turn.now
    )
    turn.leave(sa.literal("sent"), stage=WaitStage.SENDING)


WORK = StepWork(email.KIND, _cohort, _stream)
