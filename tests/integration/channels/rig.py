"""What the tests of the SMTP adapter have in common."""

import contextlib
import socket
import threading
from dataclasses import replace
from uuid import UUID

from saas.channels.adapters.smtp.adapter import SmtpAdapter
from saas.channels.types import Outcome, OutcomeKind, OutcomeScope, Outgoing, Security, SmtpSettings, Timeouts

ACCEPTED, REFUSED = OutcomeKind.ACCEPTED, OutcomeKind.REFUSED
DEFERRED, UNKNOWN = OutcomeKind.DEFERRED, OutcomeKind.UNKNOWN
PERSON, CONTENT, CHANNEL = OutcomeScope.RECIPIENT, OutcomeScope.CONTENT, OutcomeScope.CHANNEL
PATIENT = Timeouts(connect_s=60, reply_s=60, answer_s=60)  # nothing waits for as long, unless it waits for ever
HASTY = replace(PATIENT, answer_s=2)  # where somebody is kept waiting, and all others are answered at once
FROM = "news@northwind.example"
TEXT = b"Subject: hi\r\n\r\nhello\r\n"


class Watch:
    """Writes down what happens, in order, and sees to it that an adapter keeps its contract."""

    def __init__(self, *, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.log: list[tuple] = []
        self.outcomes: dict[int, Outcome] = {}

    def may_go_on(self, index):
        self.log.append(("asked", index))
        return index != self.stop_at

    def offered(self, index):
        assert self.log[-1] == ("asked", index), "nobody asked right before"
        assert index != self.stop_at
        self.log.append(("offered", index))

    def settled(self, index, outcome):
        assert index not in self.outcomes, "settled twice"
        assert (outcome.trouble is not None) is (outcome.scope is CHANNEL)
        self.log.append(("settled", index))
        self.outcomes[index] = outcome

    def answered_for(self):
        """Whether every message that was offered has been settled."""
        return set(self.was_offered) <= set(self.outcomes)

    def kinds(self):
        return {index: (found.kind, found.scope) for index, found in self.outcomes.items()}

    @property
    def was_offered(self):
        return [index for what, index in self.log if what == "offered"]


def adapter_for(sink, *, timeouts=PATIENT, **changes):
    settings = SmtpSettings(UUID(int=1), sink.host, sink.port, Security.NONE, None, None, connections=1)
    return SmtpAdapter(replace(settings, **changes), allow=(sink.address,), ehlo_name="[127.0.0.1]", timeouts=timeouts)


def letters(*names, text=TEXT):
    return [Outgoing(i, FROM, name if "@" in name else f"{name}@example.net", text) for i, name in enumerate(names)]


def deliver(sink, messages, *, watch=None, **changes):
    """Let a new adapter deliver messages; returns the watch, which also knows the adapter's last words."""
    watch, adapter = watch or Watch(), adapter_for(sink, **changes)
    adapter.deliver(iter(messages), watch=watch)
    watch.stage, watch.down = adapter.stage, adapter.down
    adapter.close()
    assert watch.answered_for()
    return watch


class Server:
    """A server that does what no relay should: runs a function over its first connections, one after the other."""

    host = "127.0.0.1"

    def __init__(self, serve, *, connections=1):
        self._serve, self._connections = serve, connections
        self._listener = socket.create_server((self.host, 0))
        self.port = self._listener.getsockname()[1]
        self.address = f"{self.host}:{self.port}"
        self.ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self.ending.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _run(self):
        for _ in range(self._connections):
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            with conn, contextlib.suppress(OSError):
                self._serve(conn, self.ending)
