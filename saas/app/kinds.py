"""Who does which work: the agenda's registry, filled here and nowhere else."""

from collections.abc import Mapping

import sqlalchemy as sa

from saas.accounts.jobs import handlers as account_handlers
from saas.app.sweep import sweep
from saas.audiences.jobs import import_handler
from saas.audiences.types import IMPORT_FILE
from saas.campaigns.jobs import handlers as campaign_handlers
from saas.campaigns.types import SETTLE_STOP, START_CAMPAIGN
from saas.http.shell import Shell
from saas.journeys.jobs import call_file, flow_step, flow_update, refresh_zones, start_campaign
from saas.journeys.jobs import handlers as journey_handlers
from saas.journeys.types import FLOW_UPDATE, REFRESH_ZONES
from saas.ledger.types import CALL_FILE, FLOW_STEP
from saas.notices.jobs import handlers as notice_handlers
from saas.platform.agenda.types import Handler, Kinds, Queue, Work
from saas.reports.jobs import handlers as report_handlers
from saas.sending.jobs import stop
from saas.sending.service.deliver import SenderProcess
from saas.sending.service.upkeep import SWEEP
from saas.sending.types import SEND_BULK, SEND_TRANSACTIONAL
from saas.tenants.jobs import handlers as tenant_handlers


def kinds_for(queue: Queue, *, shell: Shell, engine: sa.Engine, sender: SenderProcess | None) -> Kinds:
    """Return the handlers of one queue's workers; only senders can send."""
    handlers: dict[Work, Handler] = {
        IMPORT_FILE: import_handler(engine, shell.vault, shell.clock, at_once=shell.settings.imports_at_once),
        START_CAMPAIGN: start_campaign,
        FLOW_STEP: flow_step,
        FLOW_UPDATE: flow_update,
        CALL_FILE: call_file,
        REFRESH_ZONES: refresh_zones,
        SETTLE_STOP: stop,
        SWEEP: sweep,
        **journey_handlers(engine, shell.vault, shell.clock, shell.settings),
        **account_handlers(shell.settings),
        **campaign_handlers(shell.settings),
        **notice_handlers(shell.settings),
        **tenant_handlers(shell.settings),
        **report_handlers(shell.settings, shell.vault),
    }
    if sender is not None:
        handlers |= {SEND_BULK: sender.visit, SEND_TRANSACTIONAL: sender.visit}
    return Kinds(_of(queue, handlers))


def _of(queue: Queue, handlers: Mapping[Work, Handler]) -> dict[Work, Handler]:
    return {work: handler for work, handler in handlers.items() if work.queue is queue}
