"""Words of sending."""

from typing import Final

from saas.platform.agenda.types import Queue, Work

SEND_BULK: Final = Work("run.send", Queue.BULK)
SEND_TRANSACTIONAL: Final = Work("run.send.transactional", Queue.TRANSACTIONAL)
