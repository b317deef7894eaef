"""What a life of a flow is made of: the nursery's flow, people and days, how the provider answers, and what goes wrong.

The same seed always gives the same life.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random  # noqa: TID251  a seeded one
from typing import Any

from tests.reference.flow.nursery import Wish, grow, leaves
from tests.reference.flow.words import Extended, Fact, Looked, Person

# Kinds of steps that the engine does not have yet: whoever adds one takes it out here.
LEFT_OUT: tuple[str, ...] = ()
TROUBLES = ("lose_bell", "double_bell", "jump", "die", "die")
EXTENDED = 0.5
_ODD, _ODD_WHERE_ASKED = 0.12, 0.6  # people about whom something odd is answered, and where another system is asked
_ANSWERS = (("no@rcpt",), ("accepted", "no@rcpt"), ("later@rcpt",), ("accepted", "later@rcpt", "later@rcpt"))


@dataclass(frozen=True)
class Trouble:
    """What goes wrong at the first visit after a moment. seconds: how late, how far; nth: at which passing of a point."""

    at: datetime
    what: str
    seconds: int = 0
    nth: int = 1


@dataclass(frozen=True)
class Life:
    """One life to be. answers: the words of the provider to a person, used up one by one.

    leaf: below which step and exit the campaign is extended when it is completed.
    """

    seed: int
    campaign: Mapping[str, Any]
    people: tuple[Person, ...]
    facts: tuple[Fact, ...]
    wishes: tuple[Wish, ...]
    troubles: tuple[Trouble, ...]
    answers: tuple[tuple[int, tuple[str, ...]], ...]
    begin: datetime
    until: datetime
    leaf: tuple[int, str] | None = None


def life(seed: int) -> Life:
    """Return the life of a seed."""
    campaign, people, skeleton = grow(seed, without=LEFT_OUT)
    random = Random(f"troubles of {seed}")
    begin = skeleton.facts[0].at
    first = begin + timedelta(seconds=2)
    troubles = []
    for _ in range(random.choice((0, 0, 1, 2, 4))):
        what = random.choice(TROUBLES)
        at = first + timedelta(seconds=random.choice((random.randrange(900), random.randrange(2 * 86400))))
        troubles.append(Trouble(at, what, random.choice((7, 90, 1700)), random.choice((1, 1, 2, 3, 5))))
    asks = any(step["kind"] == "call_webhook" for step in campaign["flow"]["steps"])
    odd = _ODD_WHERE_ASKED if asks else _ODD
    words = (*_ANSWERS, *_ANSWERS[:1] * 3) if asks else _ANSWERS
    answers = [(person.no, random.choice(words)) for person in people if random.random() < odd]
    facts = tuple(fact for fact in skeleton.facts if not isinstance(fact, Looked))  # the engine looks by itself
    leaf = None
    if _ends(campaign) and (ends := leaves(campaign)) and random.random() < EXTENDED:
        leaf = random.choice(ends)
        facts = (*facts, Extended(skeleton.until - timedelta(days=1), {}))
    return Life(
        seed, campaign, tuple(people), facts, tuple(skeleton.wishes), tuple(sorted(troubles, key=lambda t: t.at)),
        tuple(answers), begin, skeleton.until, leaf,
    )  # fmt: skip


def _ends(campaign: Mapping[str, Any]) -> bool:
    return campaign["kind"] == "dated" and not campaign.get("recurrence") and not campaign.get("publish_until")
