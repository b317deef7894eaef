"""What another system's answer about somebody means: done, failed, or ask again later; and what it fills in. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from saas.audiences.rules.attributes import CHECKS
from saas.audiences.types import AttributeKind, Unfit
from saas.channels.adapters.webhook.types import Answer

MAX_TRIES: Final = 5
_AGAIN_S: Final = (30, 120, 600, 3600)
_LATER: Final = frozenset({401, 403, 407, 408, 425, 429})  # about the channel or the moment, not about the person
_SHOWN: Final = 300


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of asking about somebody. answer: the exit, None to ask again; body: what was answered, as JSON."""

    answer: str | None
    facts: Mapping[str, Any]
    body: Any = None


def judged(answer: Answer | None, why: str, *, tries: int, now: datetime) -> Reply:
    """Return what an answer means at this try. None: there was none, for the reason given."""
    facts: dict[str, Any] = {"tries": tries}
    if answer is not None and 200 <= answer.status < 300:
        return Reply("done", facts | {"status": answer.status}, _json(answer.body))
    if answer is not None:
        facts["status"] = answer.status
        if 400 <= answer.status < 500 and answer.status not in _LATER:
            return Reply("failed", facts)
    else:
        facts["why"] = why[:_SHOWN]
    if tries >= MAX_TRIES:
        return Reply("failed", facts)
    wait_s = max(_AGAIN_S[min(tries, len(_AGAIN_S)) - 1], (answer and answer.retry_after_s) or 0)
    return Reply(None, facts | {"not_before": (now + timedelta(seconds=wait_s)).isoformat()})


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body.strip() else None
    except ValueError:
        return None


def filled_from(
    reply: Reply, fill: Sequence[Mapping[str, str]], kinds: Mapping[str, AttributeKind]
) -> tuple[dict[str, Any], list[str]]:
    """Return the attributes that an answer fills by its declared fields, and those whose value in it is unfit.

    A field that the answer does not have, or that is null in it, changes nothing.
    """
    found, unfit = {}, []
    for each in fill:
        name, value = each["attribute"], _at(reply.body, each["field"])
        if value is None:
            continue
        try:
            found[name] = CHECKS[kinds[name]](value)
        except (KeyError, Unfit):  # no attribute of that name any more, or not a value of its kind
            unfit.append(name)
    return found, unfit


def _at(body: Any, path: str) -> Any:
    """Return what stands at a path as in `customer.tier`, None where nothing does."""
    for name in path.split("."):
        if not isinstance(body, dict):
            return None
        body = body.get(name)
    return body
