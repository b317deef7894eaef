"""Lines to providers, kept as long as the process lives: a channel configuration's adapter and its signature."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from saas.channels.models import ChannelConfiguration
from saas.channels.rules import ehlo_name
from saas.channels.service.adapters import dkim_of, open_adapter
from saas.channels.types import Adapter
from saas.content.rules.dkim import DkimSigner
from saas.platform.db import tenant_session
from saas.platform.secrets.service import Vault
from saas.platform.settings import Settings
from saas.sending.service.owner import Owner
from saas.sending.types import Claimed

_KEPT: Final = 20


@dataclass(frozen=True, slots=True)
class Line:
    """How messages of one channel configuration leave. sign: None when the relay signs, or nobody."""

    adapter: Adapter
    sign: Callable[[bytes], bytes] | None


class Lines:
    """The lines of one sender process. A line is used by one lane at a time: it has its own number of connections."""

    def __init__(self, owner: Owner, vault: Vault, settings: Settings) -> None:
        self._owner = owner
        self._vault = vault
        self._settings = settings
        self._changing = threading.Lock()
        self._turns: defaultdict[UUID, threading.Lock] = defaultdict(threading.Lock)
        self._open: dict[UUID, tuple[int, Line]] = {}

    @contextmanager
    def use(self, claimed: Claimed) -> Iterator[Callable[[], Line]]:
        """Wait for the channel's turn; what is given back then opens its line. Its errors are the caller's."""
        with self._changing:
            turn = self._turns[claimed.channel_id]
        with turn:
            yield partial(self._line, claimed)

    def close(self) -> None:
        """Leave every provider politely."""
        with self._changing:
            for _, line in self._open.values():
                line.adapter.close()
            self._open.clear()

    def _line(self, claimed: Claimed) -> Line:
        """Return the kept line of a channel; a changed configuration (another version) gets a fresh one."""
        version, line = self._open.get(claimed.channel_id, (None, None))
        if line is not None and version == claimed.channel_version:
            return line
        fresh = self._new(claimed)
        with self._changing:
            if line is not None:
                line.adapter.close()
            self._close_surplus()
            self._open[claimed.channel_id] = claimed.channel_version, fresh
        return fresh

    def _new(self, claimed: Claimed) -> Line:
        with tenant_session(self._owner.engine, claimed.tenant_id) as session:
            channel = session.get_one(ChannelConfiguration, (claimed.tenant_id, claimed.channel_id))
            adapter = open_adapter(
                session,
                channel=channel,
                vault=self._vault,
                allow=self._settings.egress_allow,
                ehlo_name=ehlo_name(self._settings.public_url),
                clock=self._owner.clock,
            )
            key = dkim_of(session, channel=channel, vault=self._vault)
        if key is None:
            return Line(adapter, None)
        return Line(adapter, DkimSigner(domain=key.domain, selector=key.selector, key=key.private_pem).sign)

    def _close_surplus(self) -> None:
        """Close what is not in use beyond the number that is kept, the longest opened first."""
        idle = [channel_id for channel_id in self._open if not self._turns[channel_id].locked()]
        for channel_id in idle[: max(0, len(self._open) - _KEPT + 1)]:
            self._open.pop(channel_id)[1].adapter.close()
