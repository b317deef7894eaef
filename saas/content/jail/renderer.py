"""The parent's half: one jailed child per process, started when first needed and anew after each death."""

import json
import os
import select
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final, Self

import structlog

from saas.content.types import Flaw, RenderFailure, Survey, Use
from saas.kernel.clock import monotonic
from saas.kernel.errors import Unavailable

TIMEOUT_S: Final = 2.0
START_TIMEOUT_S: Final = 20.0
WINDOW: Final = 250  # items in one request, and
WINDOW_BYTES: Final = 8 << 20  # their size: both bound what the child holds
MAX_ROW: Final = 4 << 20
MAX_FRAME: Final = 16 << 20
DEATHS_IN_A_ROW: Final = 3  # then it is the template's fault, and all who remain fail

_CHILD: Final = Path(__file__).with_name("child.py")
_BOOT: Final = (
    "import runpy, sys; path = sys.argv[1]; sys.path[:0] = sys.argv[2:]; runpy.run_path(path, run_name='__main__')"
)
_NEEDS: Final = ("liquid", "markupsafe", "dateutil", "six", "babel", "pytz")
_PREFIX: Final = struct.Struct("<I")
_HUNG: Final = "it takes too long"
_DIED: Final = "the renderer ended on it"
_NO_RENDERER: Final = "The renderer for templates does not start."

_log = structlog.get_logger()


class _Gone(Exception):
    """The child hangs, died or talks nonsense; the message is a reason for people."""


class _NotBegun(_Gone):
    """The child was gone before it took the request: nobody's item is to blame."""


class _Child:
    """A running child and the bytes it has sent."""

    def __init__(self) -> None:
        sites = sorted({str(Path(spec.origin).parents[1]) for spec in map(find_spec, _NEEDS) if spec and spec.origin})
        # A session of its own: Ctrl-C in a terminal stops the sender between two messages, and not its renderer before.
        self._process = subprocess.Popen(  # noqa: S603 (our own interpreter and file)
            [sys.executable, "-I", "-S", "-c", _BOOT, str(_CHILD), *sites],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            bufsize=0,
            start_new_session=True,
        )
        self.owner = os.getpid()
        self._received = bytearray()
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)
        try:
            self.jail = str(_mapping(self.receive(START_TIMEOUT_S)).get("jail"))
        except BaseException:
            self.end()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def _out(self) -> int:
        if self._process.stdout is None:
            raise _Gone(_DIED)
        return self._process.stdout.fileno()

    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, frames: Sequence[bytes]) -> None:
        """Write a whole request and wait until the child has it. Raises _NotBegun.

        The child reads everything before it answers, so that neither side waits for the other to read.
        """
        stdin = self._process.stdin
        data = memoryview(b"".join(_PREFIX.pack(len(frame)) + frame for frame in frames))
        try:
            while data and stdin is not None:
                data = data[stdin.write(data) or 0 :]
            self.receive(START_TIMEOUT_S)
        except (OSError, _Gone) as error:
            raise _NotBegun(_DIED) from error

    def receive(self, timeout_s: float) -> object:
        """Return the next answer. Raises _Gone when it doesn't come in time."""
        deadline = monotonic() + timeout_s
        size = int(_PREFIX.unpack(self._take(_PREFIX.size, deadline))[0])
        if size > MAX_FRAME:
            reason = "it became too long"
            raise _Gone(reason)
        try:
            return json.loads(self._take(size, deadline))
        except (ValueError, RecursionError) as error:
            raise _Gone(_DIED) from error

    def _take(self, size: int, deadline: float) -> bytes:
        while len(self._received) < size:
            left_ms = (deadline - monotonic()) * 1000
            if left_ms <= 0 or not self._poll.poll(left_ms):
                raise _Gone(_HUNG)
            data = os.read(self._out, 1 << 18)
            if not data:
                raise _Gone(_DIED)
            self._received += data
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def end(self) -> None:
        """Kill and reap; nothing of the child remains."""
        self._process.kill()
        self._process.wait()
        self._close()

    def disown(self) -> None:
        """Forget a child that a fork copied: it serves the process that started it."""
        self._process.returncode = 0  # else the copy warns that it was not waited for
        self._close()

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


class Renderer:
    """Parses and renders Liquid in a jailed child. May be shared between threads; they take turns."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._lock = Lock()
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the child. A closed renderer starts a new one when it is used again."""
        with self._lock:
            self._bury()

    @property
    def jail(self) -> str:
        """What holds the child in: "limits+seccomp" on x86-64 Linux, "limits" elsewhere."""
        with self._lock:
            return self._running().jail

    def survey(self, sources: Mapping[str, str]) -> dict[str, Survey]:
        """Return what stands in each source. A source on which the parser hangs or dies has a flaw that says so."""
        answers = self._ask({"do": "survey"}, [json.dumps(source).encode() for source in sources.values()])
        return {name: _survey(answer) for name, answer in zip(sources, answers, strict=True)}

    def render(
        self, sources: Mapping[str, str], rows: Sequence[Mapping[str, object]]
    ) -> list[dict[str, str] | RenderFailure]:
        """Return each row's rendered sources, by name. The source named html is escaped, the others are plain text.

        Rows hold only what JSON can: a row that holds something else fails. So does one on which rendering takes over
        the timeout, needs too much or meets an error; the others are not touched by it.
        """
        head = {"do": "render", "sources": [[name, source, name == "html"] for name, source in sources.items()]}
        items = [_encoded(row) for row in rows]
        answers = iter(self._ask(head, [item for item in items if item is not None]))
        return [
            _rendered(next(answers), tuple(sources)) if item is not None else RenderFailure("a value can't be used")
            for item in items
        ]

    def _ask(self, head: Mapping[str, object], items: Sequence[bytes]) -> list[object]:
        """Return one answer for each item; a RenderFailure for those that took the child down. Raises Unavailable."""
        answers: list[object] = []
        deaths, failure = 0, RenderFailure(_DIED)
        with self._lock:
            while len(answers) < len(items) and deaths < DEATHS_IN_A_ROW:
                asked = len(answers)
                try:
                    self._exchange(head, _window(items, asked), answers)
                    deaths = 0
                except _NotBegun as error:
                    deaths += 1
                    if deaths == DEATHS_IN_A_ROW:
                        raise Unavailable(_NO_RENDERER) from error
                except _Gone as death:
                    deaths = deaths + 1 if len(answers) == asked else 1
                    failure = RenderFailure(str(death))
                    answers.append(failure)
        return answers + [failure] * (len(items) - len(answers))

    def _exchange(self, head: Mapping[str, object], window: Sequence[bytes], answers: list[object]) -> None:
        """Ask for a window of items and append each answer as it comes."""
        child = self._running()
        try:
            child.send([json.dumps({**head, "count": len(window)}).encode(), *window])
            for _ in window:
                answers.append(child.receive(self._timeout_s))  # noqa: PERF401 (those before a death are kept)
        except BaseException as error:
            # Whatever ended this, answers may still be under way: the next request must not read them as its own.
            self._bury()
            if isinstance(error, _Gone):
                _log.warning("renderer_ended", reason=str(error))
            raise

    def _running(self) -> _Child:
        child = self._child
        if child is not None and child.owner == os.getpid() and child.alive():
            return child
        self._bury()
        try:
            self._child = _Child()
        except (_Gone, OSError) as error:
            raise Unavailable(_NO_RENDERER) from error
        return self._child

    def _bury(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if child.owner == os.getpid():
            child.end()
        else:
            child.disown()


def _window(items: Sequence[bytes], at: int) -> Sequence[bytes]:
    """Return the next items that go into one request, at least one."""
    end, size = at + 1, len(items[at])
    while end < min(len(items), at + WINDOW) and size + len(items[end]) <= WINDOW_BYTES:
        size += len(items[end])
        end += 1
    return items[at:end]


def _encoded(row: Mapping[str, object]) -> bytes | None:
    """Return a row for the child, or None when it holds what JSON can't, or far too much."""
    try:
        encoded = json.dumps(row).encode()
    except (TypeError, ValueError, RecursionError):
        return None
    return encoded if len(encoded) <= MAX_ROW else None


# The child is not trusted: what it answers is taken apart here and nothing but plain, bounded values goes on.


def _mapping(answer: object) -> Mapping[str, object]:
    return answer if isinstance(answer, dict) else {}


def _rendered(answer: object, names: tuple[str, ...]) -> dict[str, str] | RenderFailure:
    if isinstance(answer, RenderFailure):
        return answer
    if isinstance(answer, list) and len(answer) == len(names) and all(isinstance(text, str) for text in answer):
        return dict(zip(names, answer, strict=True))
    return RenderFailure(str(_mapping(answer).get("failed", _DIED))[:200])


def _survey(answer: object) -> Survey:
    if isinstance(answer, RenderFailure):
        return Survey(flaws=(Flaw(1, 1, f"The template can't be read: {answer.reason}."),))
    found = _mapping(answer)
    return Survey(
        flaws=tuple(Flaw(line, column, str(words)[:300]) for line, column, words in _triples(found.get("flaws"))),
        uses=tuple(Use(tuple(path), line, column) for line, column, path in _triples(found.get("uses")) if path),
        binds=tuple(Use(tuple(path), line, column) for line, column, path in _triples(found.get("binds")) if path),
    )


def _triples(value: object) -> Iterator[tuple[int, int, Sequence[object]]]:
    for each in value if isinstance(value, list) else []:
        match each:
            case [int(line), int(column), str() | list() as rest]:
                yield line, column, rest
