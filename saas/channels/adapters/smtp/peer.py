"""What an adapter knows of its relay, and remembers from one connection to the next."""

from typing import Final

from saas.channels.types import SmtpSettings, Stage, Timeouts
from saas.kernel.clock import monotonic
from saas.platform import egress

_WHILE_S: Final = 600.0  # how long a relay's bad moments are remembered


class Peer:
    """A relay.

    stage: how far the latest message came. losses: how many connections, one after the other, led to nothing.
    """

    def __init__(self, settings: SmtpSettings, *, allow: tuple[str, ...], ehlo_name: str, timeouts: Timeouts) -> None:
        self.settings = settings
        self.ehlo_name = ehlo_name
        self.timeouts = timeouts
        self.stage = Stage.CONNECT
        self.losses = 0
        self.targets: tuple[egress.Target, ...] = ()
        self.ticket: egress.Ticket | None = None
        self._allow = allow
        self._trust: egress.Trust | None = None
        self._room = settings.connections
        self._room_until = 0.0
        self._odd_until = 0.0

    @property
    def trust(self) -> egress.Trust:
        """Whose certificates count, read from the host once."""
        if self._trust is None:
            self._trust = egress.trust()
        return self._trust

    @property
    def room(self) -> int:
        """How many connections the relay lets us have at present."""
        if self._room < self.settings.connections and monotonic() >= self._room_until:
            self._room = self.settings.connections
        return self._room

    @property
    def is_odd(self) -> bool:
        """Whether the relay mixed its answers up lately, so that it gets one command at a time."""
        return monotonic() < self._odd_until

    def look_up(self, *, limit_s: float) -> None:
        """Find the relay's addresses. Raises Refused, Unreachable."""
        self.stage = Stage.CONNECT
        settings = self.settings
        self.targets = egress.resolve(settings.host, settings.port, allow=self._allow, timeout_s=limit_s)

    def make_do_with(self, connections: int) -> None:
        """Remember that the relay lets us have no more than so many connections, at least one."""
        self._room = max(1, connections)
        self._room_until = monotonic() + _WHILE_S

    def forget_room(self) -> None:
        """Forget how many connections were allowed: nothing can be told from a relay that is away."""
        self._room = self.settings.connections

    def distrust(self) -> None:
        """Remember that the relay mixes its answers up."""
        self._odd_until = monotonic() + _WHILE_S
