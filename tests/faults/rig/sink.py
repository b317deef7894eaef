"""A relay that keeps the proof: one line for each message, on disk (fsync) before it answers 250.

`python -m tests.faults.rig.sink --log FILE --ports N` prints its control port and its SMTP ports as one JSON line. Over the
control port come JSON lines {"port": index, "mode": {...}} that change how a port behaves; each is answered.

What a recipient gets is written in the local part: `.rcpt-450`, `.dot-554`, `.dot-452-x2` (only the first two times), and
`.hang`, `.close`, `.rst`, `.drip`, `.mid421`, each also with -x<n>. Lines of the log say what was answered: `said` is the code, or
0 when the connection ended without a word (a receiver may have delivered it all the same).
"""

import argparse
import asyncio
import binascii
import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import ssl
import struct
import sys
from dataclasses import dataclass, field, fields

from saas.kernel.clock import monotonic

HOST = "127.0.0.1"
SCRIPT = re.compile(r"\.(?:(mail|rcpt|data|dot)-(\d{3})|(hang|close|rst|drip|mid421))(?:-x(\d+))?(?=[.@])")
_TEXTS = {
    450: "4.2.0 greylisted, try again", 421: "4.7.0 try again later", 451: "4.3.0 local error", 452: "4.2.2 mailbox full",
    550: "5.1.1 no such user", 552: "5.3.4 message too big", 554: "5.7.1 refused by policy", 535: "5.7.8 wrong password",
    571: "5.7.1 not authorised",
}  # fmt: skip
_CANARY = re.compile(rb"CANARY-[a-z0-9]+")
_REVISION = re.compile(rb"WORDING-[a-z0-9]+")
_ID = re.compile(rb"^Message-ID:\s*(\S+)", re.MULTILINE | re.IGNORECASE)
_CAMPAIGN = re.compile(rb"^X-Campaign-Id:\s*(\S+)", re.MULTILINE | re.IGNORECASE)


@dataclass
class Mode:
    """How a port behaves to everybody."""

    pace_s: float = 0.0  # between two answers to messages, whatever the number of connections
    pipelining: bool = True
    auth: str = ""  # "": none offered; "accept"; "refuse"
    rcpt_all: int = 0  # the answer to every RCPT
    dot_all: int = 0  # the answer to every message
    busy_every: int = 0  # a 421 and the end of the connection after so many messages
    end_after: int = 0  # the end of the connection without a word after so many
    greylist_s: float = 0.0  # 450 until so long after a recipient was first seen
    drip_s: float = 0.0  # seconds between two bytes of any answer
    tls: str = ""  # "starttls" (a certificate nobody knows), "garbage"
    closed: bool = False  # accept connections and end them at once


class Log:
    """Group commit: whoever comes in one turn of the loop shares one fsync, and is answered after it."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._loop = loop
        self._lines: list[bytes] = []
        self._then: list = []

    def keep(self, line: dict, then) -> None:
        if not self._lines:
            self._loop.call_soon(self._commit)
        self._lines.append(json.dumps(line).encode() + b"\n")
        self._then.append(then)

    def _commit(self) -> None:
        lines, then, self._lines, self._then = self._lines, self._then, [], []
        os.write(self._file, b"".join(lines))
        os.fdatasync(self._file)
        for act in then:
            act()


@dataclass
class Port:
    """One tenant's relay."""

    index: int
    log: Log
    loop: asyncio.AbstractEventLoop
    mode: Mode = field(default_factory=Mode)
    tls: ssl.SSLContext | None = None
    used: dict[tuple[str, str], int] = field(default_factory=dict)
    first_seen: dict[str, float] = field(default_factory=dict)
    conns: int = 0
    next_at: float = 0.0
    live: set = field(default_factory=set)

    def script(self, rcpt: str, at: str) -> tuple[int, str] | None:
        """Return (code, act) that the address asks for at this point, using up one of its times."""
        found = SCRIPT.search(rcpt)
        if found is None:
            return None
        point, code, act, times = found.groups()
        where = point or ("mail" if act == "mid421" else "dot")
        if where != at:
            return None
        count = self.used.get((rcpt, where), 0)
        if times and count >= int(times):
            return None
        self.used[(rcpt, where)] = count + 1
        return int(code or 0), act or ""


class Talk(asyncio.Protocol):
    """One connection."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.buffer = b""
        self.busy = False  # an answer is owed before the next command is looked at
        self.reading = False
        self.count = 0
        self.signed_in = False
        self.secured = False
        self.rcpt = ""
        self.scan = 0
        self.out: asyncio.Queue | None = None

    def connection_made(self, transport) -> None:
        again = self.port.live and self in self.port.live
        self.transport = transport
        if again:  # TLS has begun on this connection
            return
        self.port.conns += 1
        self.number = self.port.conns
        self.port.live.add(self)
        with contextlib.suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.port.mode.closed:
            transport.abort()
            return
        self.say("220 sink.example ESMTP")

    def connection_lost(self, _error) -> None:
        self.port.live.discard(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.go_on()

    def go_on(self) -> None:
        while not self.busy and not self.transport.is_closing():
            if self.reading:
                if not self.content():
                    return
                continue
            line, found, rest = self.buffer.partition(b"\r\n")
            if not found:
                return
            self.buffer = rest
            self.command(line.decode("utf-8", "replace"))

    def command(self, line: str) -> None:
        verb = line.partition(" ")[0].upper()
        act = getattr(self, f"on_{verb.lower()}", None)
        if act is None:
            self.say("500 5.5.2 what?")
        else:
            act(line)

    def on_ehlo(self, _line: str) -> None:
        mode = self.port.mode
        offers = ["sink.example", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        offers += ["PIPELINING"] if mode.pipelining else []
        offers += ["STARTTLS"] if mode.tls and not self.secured else []
        offers += ["AUTH PLAIN LOGIN"] if mode.auth else []
        self.say("\r\n".join([f"250-{offer}" for offer in offers[:-1]] + [f"250 {offers[-1]}"]))

    on_helo = on_ehlo

    def on_starttls(self, _line: str) -> None:
        self.say("220 2.0.0 go ahead")
        if self.port.mode.tls == "garbage":
            self.transport.write(b"\x16\x03\x01nothing that TLS knows\x00" * 40)
            return
        self.busy = True
        self.port.loop.create_task(self.secure())

    async def secure(self) -> None:
        with contextlib.suppress(OSError, ssl.SSLError, ConnectionError):
            self.transport = await self.port.loop.start_tls(self.transport, self, self.port.tls, server_side=True)
            self.secured, self.busy = True, False
            self.go_on()

    def on_auth(self, line: str) -> None:
        if self.port.mode.auth == "accept" and " PLAIN " in line.upper():
            self.signed_in = True
            self.say("235 2.7.0 welcome")
        else:
            self.say("535 5.7.8 wrong user name or password")

    def on_mail(self, line: str) -> None:
        if self.port.mode.auth and not self.signed_in:
            self.say("530 5.7.0 sign in first")
            return
        self.rcpt = ""
        self.say("250 2.1.0 ok")

    def on_rcpt(self, line: str) -> None:
        rcpt = line[line.index("<") + 1 : line.index(">")]
        code = self.port.mode.rcpt_all or self.greylisted(rcpt)
        asked = self.port.script(rcpt, "mail") or self.port.script(rcpt, "rcpt")
        if asked is not None and asked[1] == "mid421":
            self.say("421 4.3.2 going away")
            self.transport.close()
            return
        code = code or (asked[0] if asked else 0)
        if code:
            self.say(f"{code} {_TEXTS.get(code, 'no')}")
            return
        self.rcpt = rcpt
        self.say("250 2.1.5 ok")

    def greylisted(self, rcpt: str) -> int:
        first = self.port.first_seen.setdefault(rcpt, monotonic()) if self.port.mode.greylist_s else 0.0
        return 450 if self.port.mode.greylist_s and monotonic() - first < self.port.mode.greylist_s else 0

    def on_data(self, _line: str) -> None:
        if not self.rcpt:
            self.say("503 5.5.1 RCPT first")
            return
        asked = self.port.script(self.rcpt, "data")
        if asked:
            self.say(f"{asked[0]} {_TEXTS.get(asked[0], 'no')}")
            return
        self.reading, self.scan = True, 0
        self.say("354 go ahead")

    def on_rset(self, _line: str) -> None:
        self.rcpt = ""
        self.say("250 2.0.0 ok")

    def on_noop(self, _line: str) -> None:
        self.say("250 2.0.0 ok")

    def on_quit(self, _line: str) -> None:
        self.say("221 2.0.0 bye")
        self.transport.close()

    def content(self) -> bool:
        """Take a whole message if it is there."""
        if self.buffer.startswith(b".\r\n"):
            data, self.buffer = b"", self.buffer[3:]
        else:
            end = self.buffer.find(b"\r\n.\r\n", max(0, self.scan - 5))
            if end < 0:
                self.scan = len(self.buffer)
                return False
            data, self.buffer = self.buffer[: end + 2], self.buffer[end + 5 :]
        self.reading = False
        self.message(data)
        return True

    def message(self, data: bytes) -> None:
        rcpt, self.rcpt = self.rcpt, ""
        asked = self.port.script(rcpt, "dot")
        code, act = asked or (0, "")
        code = code or self.port.mode.dot_all
        self.count += 1
        if code >= 400:
            self.say(f"{code} {_TEXTS.get(code, 'no')}")
            return
        self.busy = True
        said = 0 if act in {"hang", "close"} else 250
        self.port.log.keep(_line(self, rcpt, data, said), lambda: self.kept(act))

    def kept(self, act: str) -> None:
        """The line is on disk: now it may be answered."""
        if act == "hang":
            return
        if act == "close":
            self.transport.close()
        elif act == "drip":
            self.port.loop.create_task(self.drip(b"250 2.0.0 kept\r\n", 0.3))
        elif self.port.mode.pace_s:
            now = self.port.loop.time()
            self.port.next_at = max(now, self.port.next_at) + self.port.mode.pace_s
            self.port.loop.call_later(self.port.next_at - now, self.answer, act)
        else:
            self.answer(act)

    def answer(self, act: str) -> None:
        if self.transport.is_closing():
            return
        self.say("250 2.0.0 kept")
        if act == "rst":
            self.reset()
            return
        mode = self.port.mode
        if mode.busy_every and self.count % mode.busy_every == 0:
            self.say("421 4.7.0 too much, come back later")
            self.transport.close()
            return
        if mode.end_after and self.count >= mode.end_after:
            self.transport.close()
            return
        self.busy = False
        self.go_on()

    async def drip(self, text: bytes, every_s: float) -> None:
        for number in range(len(text)):
            if self.transport.is_closing():
                return
            self.transport.write(text[number : number + 1])
            await asyncio.sleep(every_s)
        self.busy = False
        self.go_on()

    def reset(self) -> None:
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def say(self, text: str) -> None:
        if self.port.mode.drip_s and not self.busy:
            self.busy = True
            self.port.loop.create_task(self.drip(text.encode() + b"\r\n", self.port.mode.drip_s))
        else:
            self.transport.write(text.encode() + b"\r\n")


def _line(talk: Talk, rcpt: str, data: bytes, said: int) -> dict:
    head, _, body = data.partition(b"\r\n\r\n")
    plain = binascii.a2b_qp(body)
    ids, campaigns = _ID.findall(head), _CAMPAIGN.findall(head)
    return {
        "rcpt": rcpt, "port": talk.port.index, "conn": talk.number, "at": round(monotonic(), 4), "said": said,
        "mid": ids[0].decode() if ids else "", "cam": campaigns[0].decode() if campaigns else "",
        "canaries": sorted({c.decode() for c in _CANARY.findall(plain + head)}),
        "wording": sorted({c.decode() for c in _REVISION.findall(plain)}),
        "sha": hashlib.sha256(data).hexdigest(),
    }  # fmt: skip


async def _control(ports: list[Port], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    names = {each.name for each in fields(Mode)}
    while line := await reader.readline():
        word = json.loads(line)
        for port in ports if word.get("port") is None else [ports[word["port"]]]:
            for name, value in word.get("mode", {}).items():
                assert name in names, name
                setattr(port.mode, name, value)
            if word.get("drop"):
                for talk in list(port.live):
                    talk.reset()
        writer.write(
            json.dumps({"conns": [port.conns for port in ports], "live": [len(p.live) for p in ports]}).encode() + b"\n"
        )
        await writer.drain()


async def _main(path: str, count: int, chain: str) -> None:
    loop = asyncio.get_running_loop()
    log = Log(path, loop)
    context = None
    if chain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
    ports = [Port(number, log, loop, tls=context) for number in range(count)]
    servers = [await loop.create_server(lambda port=port: Talk(port), HOST, 0, backlog=512) for port in ports]
    control = await asyncio.start_server(lambda r, w: _control(ports, r, w), HOST, 0)
    told = {"control": control.sockets[0].getsockname()[1], "smtp": [s.sockets[0].getsockname()[1] for s in servers]}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    ending = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    await ending.wait()


if __name__ == "__main__":
    words = argparse.ArgumentParser()
    words.add_argument("--log", required=True)
    words.add_argument("--ports", type=int, default=2)
    words.add_argument("--chain", default="")
    given = words.parse_args()
    asyncio.run(_main(given.log, given.ports, given.chain))
