"""Named points at which a test can make a process die, stop, sleep or fail (reliability.md 4.1).

FAULT=name:action[:nth=7][:seconds=3] in a process's environment, several separated by commas. Actions: kill9, sigstop,
raise, sleep. Without the variable a point costs one comparison, and nothing can happen. There is no other way in: the
environment of a process belongs to whoever runs it.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

VARIABLE: Final = "FAULT"


class Injected(RuntimeError):
    """What `raise` raises: an error that nobody foresaw."""


@dataclass
class _Fault:
    action: str
    nth: int
    seconds: float
    seen: int = 0


def _kill(_fault: _Fault) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop(_fault: _Fault) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _sleep(fault: _Fault) -> None:
    time.sleep(fault.seconds)


def _raise(_fault: _Fault) -> None:
    raise Injected("a fault was injected here")


_ACTIONS: Final[Mapping[str, Callable[[_Fault], None]]] = MappingProxyType(
    {"kill9": _kill, "sigstop": _stop, "sleep": _sleep, "raise": _raise}
)


def read(text: str) -> dict[str, _Fault]:
    """Return the faults that a variable's text names. Raises ValueError."""
    found = {}
    for part in filter(None, text.split(",")):
        name, action, *rest = part.split(":")
        if action not in _ACTIONS:
            msg = f"{VARIABLE}: there is no action {action}"
            raise ValueError(msg)
        options = dict(option.split("=", 1) for option in rest)
        found[name] = _Fault(action, int(options.get("nth", "1")), float(options.get("seconds", "1")))
    return found


_faults: Final = read(os.environ.get(VARIABLE, ""))
ACTIVE: Final = bool(_faults)


def point(name: str) -> None:
    """Let a fault happen here if one was asked for, at the nth time that this point is passed."""
    if not ACTIVE:
        return
    fault = _faults.get(name)
    if fault is None:
        return
    fault.seen += 1
    if fault.seen == fault.nth:
        _ACTIONS[fault.action](fault)
