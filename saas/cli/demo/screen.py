"""What a person sees of the demo, and how it says that something is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

_TICK: Final = "✓"


class Wrong(Exception):
    """Something is not as it must be; the text is a sentence that says what."""


class Bar:
    """A progress bar that is running."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def at(self, done: int, total: int | None = None) -> None:
        """Show how much is done; `total` where it became known."""
        if total is None:
            self._progress.update(self._task, completed=done)
        else:
            self._progress.update(self._task, completed=done, total=total)


class Screen:
    """Headings, ticks, spinners and bars. Every tick names something that was checked."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def title(self, text: str) -> None:
        """Say what begins."""
        self._print(Text(text, style="bold"))

    def step(self, text: str) -> None:
        """Begin a step."""
        self._print(Text(f"\n{text}", style="bold cyan"))

    def tick(self, text: str) -> None:
        """Tell a fact that was checked."""
        self._print(Text(f"  {_TICK} ", style="green").append(text, style="default"))

    def note(self, text: str) -> None:
        """Tell something that is good to know."""
        self._print(Text(f"    {text}", style="dim"))

    def warn(self, text: str) -> None:
        """Tell something that is not as usual."""
        self._print(Text(f"  ! {text}", style="yellow"))

    def wrong(self, text: str) -> None:
        """Tell what is wrong."""
        self._print(Text(f"  ✗ {text}", style="bold red"))

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show a spinner."""
        with self._console.status(text):
            yield

    @contextmanager
    def bar(self, text: str, *, total: int | None) -> Iterator[Bar]:
        """Show a progress bar that leaves nothing behind."""
        columns = (TextColumn(f"    {text}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal) as shown:
            yield Bar(shown, shown.add_task(text, total=total))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


def agree(what: str, *, found: object, expected: object) -> None:
    """Insist on equality. Raises Wrong."""
    if found != expected:
        raise Wrong(f"{what}: expected {expected}, found {found}.")


def insist(what: str, *, holds: bool) -> None:
    """Insist on a fact; `what` says what is wrong otherwise. Raises Wrong."""
    if not holds:
        raise Wrong(what)
