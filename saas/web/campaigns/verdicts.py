"""Who won a test of variants, when and by what numbers, in words (S16)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from flask_babel import gettext

from saas.campaigns.rules.document import Step
from saas.ledger.models import Run
from saas.reports.rules.variants import Verdict
from saas.reports.service.flows import verdicts
from saas.web import words


def verdict_words(step: Step, runs: Sequence[Run], *, zone: str, now: datetime) -> list[str]:
    """Return a line for each test that a step began: who has won, or when that is decided."""
    names = {branch["key"]: branch.get("name") or branch["key"] for branch in step.own.get("branches") or ()}
    return [_line(each, names, words.when(each.decide_at, zone, now=now)) for each in verdicts(step, runs)]


def _line(found: Verdict, names: Mapping[str, str], at: str) -> str:
    by = _by_word(found.by)
    if found.winner is None:
        return str(gettext("The winner is chosen %(at)s, by %(by)s.", at=at, by=by))
    numbers = ", ".join(
        str(gettext("%(name)s %(did)s of %(sent)s", name=names.get(key, key), did=words.number(each["did"]),
                    sent=words.number(each["sent"])))
        for key, each in found.counted.items()
    )  # fmt: skip
    winner = names.get(found.winner, found.winner)
    if found.tied:
        *some, last = [names.get(key, key) for key in found.tied]
        equal = gettext("%(some)s and %(last)s", some=", ".join(some), last=last)
        return str(
            gettext(
                "%(equal)s did equally well; %(winner)s, the first of them, has won (%(at)s, by %(by)s: %(numbers)s).",
                equal=equal, winner=winner, at=at, by=by, numbers=numbers,
            )
        )  # fmt: skip
    return str(
        gettext("%(winner)s has won (%(at)s, by %(by)s: %(numbers)s).", winner=winner, at=at, by=by, numbers=numbers)
    )


def _by_word(by: str) -> str:
    texts = {"opened": gettext("openings"), "clicked": gettext("clicks"), "converted": gettext("conversions")}
    return str(texts.get(by, by))
