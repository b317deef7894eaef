"""A TCP proxy that breaks connections on purpose: in a thread of its own, by script, the same each time.

It stands before PostgreSQL, Redis or a relay. Delay, reset, black hole and half-close apply to all connections; a cut
waits for its moment on one connection: a number of bytes, a byte pattern, or the COMMIT of a transaction that ran a
given statement.
"""

import asyncio
import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self, TypeVar

from saas.kernel.clock import monotonic
from tests.faults.rig.pgwire import Statements, is_commit

T = TypeVar("T")
_DRAIN_S = 0.25  # so long the far side gets to do what it was told before its client vanished


class Reply(StrEnum):
    """Whether the server heard the bytes at which the connection was cut."""

    LOST = "lost"  # it did, and its answer is lost
    UNSENT = "unsent"  # it did not


@dataclass
class Cut:
    """Cuts one connection, `times` times. Exactly one of any_call, pattern, after_bytes and commit_of says when.

    any_call: whatever the client says counts, also over several proxies that share the cut.
    pattern: bytes from the client. commit_of: a regular expression of a statement; the cut comes with its COMMIT.
    """

    any_call: bool = False
    pattern: bytes = b""
    after_bytes: int = 0
    commit_of: str = ""
    reply: Reply = Reply.LOST
    nth: int = 1
    times: int = 1
    act: Callable[[], object] | None = None  # done at that moment, before the cut (a kill, say)
    done: int = 0
    at: list[float] = field(default_factory=list)
    _seen: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def spent(self) -> bool:
        return self.done >= self.times

    def due(self) -> bool:
        """Count one occasion; say whether this is the one."""
        with self._lock:
            self._seen += 1
            if self.spent or self._seen < self.nth:
                return False
            self.done += 1
            self.at.append(monotonic())
        if self.act is not None:
            self.act()
        return True


class Proxy:
    """Use as a context manager. `port` is where clients connect."""

    def __init__(self, target: str | tuple[str, int], *, speaks_sql: bool = False) -> None:
        """`target` is a unix socket's path, or host and port. Cuts by `commit_of` need `speaks_sql`."""
        self._target, self.speaks_sql = target, speaks_sql
        self.port = 0
        self.delay_s = 0.0
        self.refusing = False
        self.opened = 0
        self.cuts: list[Cut] = []
        self._flowing: asyncio.Event
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def cut(self, cut: Cut) -> Cut:
        self.cuts.append(cut)
        return cut

    def swallow(self) -> None:
        """Become a black hole: what is sent is taken, and nothing comes back; nobody is told."""
        self._do(self._set_flowing(flowing=False))

    def flow(self) -> None:
        """End the black hole; what it held back goes on."""
        self._do(self._set_flowing(flowing=True))

    def reset_all(self) -> int:
        """Reset every connection at both ends. Returns how many."""
        return self._do(self._each(lambda link: link.reset()))

    def half_close(self) -> int:
        """Tell every client that its server says no more, and go on taking what it sends."""
        return self._do(self._each(lambda link: link.half_close()))

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _each(self, act: Any) -> int:
        links = list(self._links)
        for link in links:
            act(link)
        return len(links)

    async def _set_flowing(self, *, flowing: bool) -> None:
        if flowing:
            self._flowing.set()
        else:
            self._flowing.clear()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._ready.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        with contextlib.suppress(RuntimeError):
            self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _listen(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**18)
        self.port = server.sockets[0].getsockname()[1]

    async def _serve(self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        self.opened += 1
        if self.refusing:
            _reset(near_out)
            return
        try:
            if isinstance(self._target, str):
                far, far_out = await asyncio.open_unix_connection(self._target)
            else:
                far, far_out = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(near_out)
            return
        link = _Link(self, near, near_out, far, far_out)
        self._links.add(link)
        try:
            await link.run()
        except asyncio.CancelledError:
            return  # the proxy ends
        finally:
            self._links.discard(link)


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, near, near_out, far, far_out) -> None:
        self.proxy, self.near, self.near_out, self.far, self.far_out = proxy, near, near_out, far, far_out
        self._statements = Statements()
        self._sent = 0
        self._tail = b""
        self._transaction: list[bytes] = []
        self._mute = False

    async def run(self) -> None:
        pumps = [asyncio.ensure_future(self._up()), asyncio.ensure_future(self._down())]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)
        for pump in pumps:
            pump.cancel()
        for out in (self.near_out, self.far_out):
            with contextlib.suppress(OSError, RuntimeError):
                out.close()

    def reset(self) -> None:
        _reset(self.near_out)
        _reset(self.far_out)

    def half_close(self) -> None:
        self._mute = True
        with contextlib.suppress(OSError, RuntimeError):
            self.near_out.write_eof()

    async def _up(self) -> None:
        with contextlib.suppress(OSError):
            while data := await self.near.read(65536):
                await self._hold()
                cut = self._moment(data)
                if cut is not None and cut.reply is Reply.UNSENT:
                    return self.reset()
                self._mute = self._mute or cut is not None
                self.far_out.write(data)
                await self.far_out.drain()
                if cut is not None:
                    await asyncio.sleep(_DRAIN_S)
                    return self.reset()
        return None

    async def _down(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            while data := await self.far.read(65536):
                await self._hold()
                if not self._mute:
                    self.near_out.write(data)
                    await self.near_out.drain()

    async def _hold(self) -> None:
        if self.proxy.delay_s:
            await asyncio.sleep(self.proxy.delay_s)
        await self.proxy._flowing.wait()

    def _moment(self, data: bytes) -> Cut | None:
        """Return the cut whose moment has come with these bytes."""
        self._sent += len(data)
        seen = self._tail + data
        self._tail = seen[-64:]
        waiting = [cut for cut in self.proxy.cuts if not cut.spent]
        found = self._committed(self._statements.feed(data), waiting) if self.proxy.speaks_sql else None
        for cut in waiting:
            if cut.any_call and cut.due():
                found = cut
            elif cut.pattern and cut.pattern in seen and cut.due():
                self._tail, found = b"", cut
            elif cut.after_bytes and self._sent >= cut.after_bytes and cut.due():
                found = cut
        return found

    def _committed(self, statements: list[bytes], waiting: list[Cut]) -> Cut | None:
        found = None
        for sql in statements:
            if not is_commit(sql):
                self._transaction.append(sql)
                continue
            for cut in waiting:
                if cut.commit_of and any(re.search(cut.commit_of.encode(), each) for each in self._transaction):
                    found = cut if cut.due() else found
            self._transaction = []
        return found


def _reset(out: asyncio.StreamWriter) -> None:
    sock = out.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError, RuntimeError):
        out.transport.abort()
