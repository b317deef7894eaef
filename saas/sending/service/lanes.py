"""Who is sending through what in this process: so that one slow relay or one large workspace never takes every lane."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from saas.sending.service.compiled import Compiler
from saas.sending.types import LANES_OF_CHANNEL, LANES_OF_TENANT


class Lanes:
    """Counts the lanes of each channel and workspace."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler
        self._lock = threading.Lock()
        self._of_channel: Counter[UUID] = Counter()
        self._of_tenant: Counter[UUID] = Counter()

    @contextmanager
    def lane(self, *, tenant_id: UUID, channel_id: UUID) -> Iterator[None]:
        """Count a lane while it has a chunk in hand."""
        with self._lock:
            self._of_channel[channel_id] += 1
            self._of_tenant[tenant_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._of_channel[channel_id] -= 1
                self._of_tenant[tenant_id] -= 1

    def enough(self, *, tenant_id: UUID, channel_id: UUID) -> bool:
        """Say whether a channel, or its workspace, has all the lanes that it may have."""
        with self._lock:
            return self._of_channel[channel_id] >= LANES_OF_CHANNEL or self._of_tenant[tenant_id] >= LANES_OF_TENANT

    def busy(self) -> list[str]:
        """Return the runs that need not be looked at now (agenda subjects)."""
        with self._lock:
            channels = {channel for channel, lanes in self._of_channel.items() if lanes >= LANES_OF_CHANNEL}
            tenants = {tenant for tenant, lanes in self._of_tenant.items() if lanes >= LANES_OF_TENANT}
        if not channels and not tenants:
            return []
        return [str(run_id) for run_id in self._compiler.runs_of(tenants=tenants, channels=channels)]
