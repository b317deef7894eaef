"""The parent's half: jailed children, started when they are needed and anew after each death."""

import json
import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from threading import Lock
from types import TracebackType
from typing import Final, Self

import structlog

from saas.content.jail.answers import as_fill, as_plan, as_survey
from saas.content.jail.process import DIED, Child, Gone, NotBegun
from saas.content.types import Plan, RenderFailure, Survey
from saas.kernel.errors import Unavailable

TIMEOUT_S: Final = 2.0
WINDOW: Final = 250  # items in one request, and
WINDOW_BYTES: Final = 8 << 20  # their size: both bound what the child holds
MAX_ROW: Final = 4 << 20
_KEPT: Final = 2  # idle children; each takes some 40 MB
DEATHS_IN_A_ROW: Final = 3  # then it is the template's fault, and all who remain fail

_NO_RENDERER: Final = "The renderer for templates does not start."
_UNUSABLE: Final = RenderFailure("a value can't be used")

_log = structlog.get_logger()


class _Desk:
    """A place for one child. Used by one caller at a time."""

    def __init__(self) -> None:
        self._child: Child | None = None

    def child(self) -> Child:
        """Return the child that lives, else a new one. Raises Unavailable."""
        child = self._child
        if child is not None and child.owner == os.getpid() and child.alive():
            return child
        self.clear()
        try:
            self._child = Child()
        except (Gone, OSError) as error:
            raise Unavailable(_NO_RENDERER) from error
        return self._child

    @property
    def pid(self) -> int:
        """The child's process id, 0 if there is none."""
        return self._child.pid if self._child is not None else 0

    def clear(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is None:
            return
        if child.owner == os.getpid():
            child.end()
        else:
            child.disown()


class Renderer:
    """Parses and renders Liquid in jailed children. May be shared between threads: each gets a child of its own."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._lock = Lock()
        self._free: list[_Desk] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the children. A closed renderer starts new ones when it is used again."""
        with self._lock:
            free, self._free = self._free, []
        for desk in free:
            desk.clear()

    def children(self) -> list[int]:
        """Return the process ids of the children that wait for work."""
        with self._lock:
            return [desk.pid for desk in self._free if desk.pid]

    @property
    def jail(self) -> str:
        """What holds the children in: "limits+seccomp" on x86-64 Linux, "limits" elsewhere."""
        with self._desk() as desk:
            return desk.child().jail

    @contextmanager
    def _desk(self) -> Iterator[_Desk]:
        """Have a desk for oneself; the one used last is the first to be used again, and a few are kept."""
        with self._lock:
            desk = self._free.pop() if self._free else _Desk()
        try:
            yield desk
        finally:
            with self._lock:
                kept = len(self._free) < _KEPT
                if kept:
                    self._free.append(desk)
            if not kept:
                desk.clear()

    def survey(self, sources: Mapping[str, str]) -> dict[str, Survey]:
        """Return what stands in each source. A source on which the parser hangs or dies has a flaw that says so."""
        items = [json.dumps((source, _language(name))).encode() for name, source in sources.items()]
        answers = self._ask({"do": "survey"}, items)
        return {name: as_survey(answer) for name, answer in zip(sources, answers, strict=True)}

    def plan(self, sources: Mapping[str, str]) -> dict[str, Plan | RenderFailure]:
        """Return each source taken apart into literals and holes, or why it can't be.

        In the source named html values are escaped, in the one named body they stand within JSON (there is a filter
        `json`, and no hole is native), the others are plain text.
        """
        answers = self._ask({"do": "plan"}, [json.dumps(each).encode() for each in _named(sources)])
        return {name: as_plan(answer) for name, answer in zip(sources, answers, strict=True)}

    def fill(
        self,
        sources: Mapping[str, str],
        plans: Mapping[str, Plan],
        rows: Iterable[tuple[Mapping[str, object], bool]],
    ) -> Generator[list[list[str]] | RenderFailure, None, None]:
        """Yield for each row what stands in each source's holes: those that need Liquid, or all where a row says so.

        The child works ahead while the caller uses what came; it is the caller's until the last row is read or the
        iterator closed.

        Rows hold only what JSON can: a row that holds something else fails. So does one on which rendering takes over
        the timeout, needs too much or meets an error; the others are not touched by it.
        """
        items = [(_encoded(row, everything=everything), everything) for row, everything in rows]
        counts = {
            everything: [_holes(plans[name], everything=everything) for name in sources] for everything in (False, True)
        }
        head = {"do": "fill", "sources": _named(sources)}
        with closing(self._answers(head, [item for item, _ in items if item is not None])) as answers:
            for item, everything in items:
                yield _UNUSABLE if item is None else as_fill(next(answers), counts[everything])

    def _ask(self, head: Mapping[str, object], items: Sequence[bytes]) -> list[object]:
        return list(self._answers(head, items))

    def _answers(self, head: Mapping[str, object], items: Sequence[bytes]) -> Generator[object, None, None]:
        """Yield one answer for each item; a RenderFailure for those that took the child down. Raises Unavailable."""
        done, deaths, failure = 0, 0, RenderFailure(DIED)
        with self._desk() as desk:
            while done < len(items) and deaths < DEATHS_IN_A_ROW:
                try:
                    with closing(self._exchange(desk, head, _window(items, done))) as answers:
                        for answer in answers:
                            done, deaths = done + 1, 0
                            yield answer
                except NotBegun as error:
                    deaths += 1
                    if deaths == DEATHS_IN_A_ROW:
                        raise Unavailable(_NO_RENDERER) from error
                except Gone as death:
                    done, deaths = done + 1, deaths + 1
                    failure = RenderFailure(str(death))
                    yield failure
            for _ in range(len(items) - done):
                yield failure

    def _exchange(
        self, desk: _Desk, head: Mapping[str, object], window: Sequence[bytes]
    ) -> Generator[object, None, None]:
        """Ask for a window of items and yield each answer as it comes."""
        child = desk.child()
        left = len(window)
        try:
            child.send([json.dumps({**head, "count": left}).encode(), *window])
            for _ in window:
                answer = child.receive(self._timeout_s)
                left -= 1
                yield answer
        except Gone as error:
            _log.warning("renderer_ended", reason=str(error))
            raise
        finally:
            # Whatever ended this, answers may still be under way: the next request must not read them as its own.
            if left:
                desk.clear()


def _named(sources: Mapping[str, str]) -> list[tuple[str, str, str]]:
    return [(name, source, _language(name)) for name, source in sources.items()]


def _language(name: str) -> str:
    return {"html": "html", "body": "json"}.get(name, "plain")


def _holes(plan: Plan, *, everything: bool) -> int:
    return len(plan.holes) if everything else plan.holes.count(None)


def _window(items: Sequence[bytes], at: int) -> Sequence[bytes]:
    """Return the next items that go into one request, at least one."""
    end, size = at + 1, len(items[at])
    while end < min(len(items), at + WINDOW) and size + len(items[end]) <= WINDOW_BYTES:
        size += len(items[end])
        end += 1
    return items[at:end]


def _encoded(row: Mapping[str, object], *, everything: bool) -> bytes | None:
    """Return a row for the child, or None when it holds what JSON can't, or far too much."""
    try:
        encoded = json.dumps((row, everything)).encode()
    except (TypeError, ValueError, RecursionError):
        return None
    return encoded if len(encoded) <= MAX_ROW else None
