"""The dispatcher: rings for what is due, buries dead senders, goes its rounds. Any number of them may run."""

import signal
import threading
from typing import Final

import structlog
from sqlalchemy.orm import Session

from saas.app.factory import check_database_role, create_app
from saas.app.rounds import Rounds
from saas.http.shell import Shell
from saas.kernel.clock import monotonic
from saas.platform.agenda.work import due_queues
from saas.platform.db import db
from saas.platform.settings import Settings
from saas.sending.service.recovery import recover_dead_senders

_TICK_S: Final = 1.0
_RECOVER_EVERY_S: Final = 1.0

log = structlog.get_logger()


def run_dispatcher(settings: Settings) -> None:
    """Ring for what is due once a second, and bury dead senders; any number of dispatchers may run."""
    app = create_app(settings)
    check_database_role(app)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    shell: Shell = app.extensions["countersign"]
    with app.app_context():
        engine = db.engine
    rounds = Rounds(engine, shell.clock)
    rounds.start()
    next_recovery = 0.0
    while not stopping.is_set():
        try:
            with Session(engine) as session:
                for queue in due_queues(session, shell.clock.now()):
                    shell.bell.ring(queue)
            if monotonic() >= next_recovery:
                next_recovery = monotonic() + _RECOVER_EVERY_S
                recover_dead_senders(engine, shell.clock.now(), home=settings.home)
        except Exception:
            # The dispatcher only helps; whatever broke is tried again in a second.
            log.exception("dispatcher.failed")
        stopping.wait(_TICK_S)
    rounds.stop()
