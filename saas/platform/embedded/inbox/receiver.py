"""The SMTP side: a message is answered with 250 only when it is on disk."""

import asyncio
import hmac
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from saas.kernel.clock import Clock
from saas.platform.embedded.inbox.store import Store
from saas.platform.embedded.inbox.types import Arrival, Summary

_log = structlog.get_logger()
_MOST_BYTES: Final = 20 * 1024 * 1024
_NAME: Final = "inbox.localhost"


@dataclass(frozen=True)
class Login:
    """The user name and password that clients must give."""

    user: str
    password: str

    def check(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        """Tell aiosmtpd whether what a client gave is right."""
        right = isinstance(given, LoginPassword) and all(
            [
                hmac.compare_digest(given.login, self.user.encode()),
                hmac.compare_digest(given.password, self.password.encode()),
            ]
        )
        return AuthResult(success=right, handled=False)


class GroupCommit:
    """Writes messages together: all that came while one fsync ran share the next."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[tuple[Arrival, asyncio.Future[Summary]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def keep(self, arrival: Arrival) -> Summary:
        """Return when the message is on disk. Raises OSError if it cannot be kept."""
        done: asyncio.Future[Summary] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return await done

    async def finish(self) -> None:
        """Return when nothing waits any more."""
        if self._writer is not None:
            await self._writer

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                kept = await asyncio.to_thread(self._store.append, [arrival for arrival, _ in batch])
            except Exception as error:  # noqa: BLE001  whatever it is, each client must hear of it
                for _, done in batch:
                    if not done.done():
                        done.set_exception(error)
            else:
                for (_, done), summary in zip(batch, kept, strict=True):
                    if not done.done():  # its client went away meanwhile
                        done.set_result(summary)


class Receiver:
    """What aiosmtpd calls."""

    def __init__(self, commit: GroupCommit, *, clock: Clock) -> None:
        self._commit = commit
        self._clock = clock

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        """Keep a message, then answer."""
        sender = _plain(envelope.mail_from)
        arrival = Arrival(
            received_at=self._clock.now(),
            mail_from="" if sender == "<>" else sender,  # the null return path of bounces
            rcpt_to=tuple(map(_plain, envelope.rcpt_tos)),
            content=envelope.original_content,
        )
        try:
            kept = await self._commit.keep(arrival)
        except OSError as error:
            _log.warning("inbox_cannot_keep", error=str(error))
            return "452 4.3.1 Cannot keep the message now"
        return f"250 2.0.0 Kept as {kept.id}"

    async def handle_exception(self, error: Exception) -> str:
        """Answer to something unforeseen; the client may try again."""
        _log.warning("inbox_session_failed", error=repr(error))
        return "451 4.3.0 Local error"


def protocol(receiver: Receiver, *, login: Login | None) -> Callable[[], SMTP]:
    """Return what makes the protocol of each connection. asyncio has set TCP_NODELAY on it already."""
    # aiosmtpd warns of passwords in clear text at each connection; this server listens on loopback only.
    warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS", category=UserWarning)

    def connection() -> SMTP:
        return SMTP(
            receiver,
            data_size_limit=_MOST_BYTES,
            enable_SMTPUTF8=True,
            hostname=_NAME,
            ident="Countersign inbox",
            auth_required=login is not None,
            auth_require_tls=login is None,  # without a login AUTH is not offered at all
            authenticator=login.check if login else None,
            loop=asyncio.get_running_loop(),
        )

    return connection


def _plain(address: str | None) -> str:
    """Return an address without the marks that aiosmtpd leaves for bytes that are no UTF-8."""
    return (address or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
