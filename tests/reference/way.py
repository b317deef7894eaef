"""One person's way through one campaign, as the text has it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

TRIES = 5
MARKETING_WINDOW = timedelta(hours=24)
TRANSACTIONAL_WINDOW = timedelta(minutes=10)
OPEN, ACCEPTED, FAILED, UNCERTAIN = "open", "accepted", "failed", "uncertain"
# What somebody is after the provider's word; a fault of the channel costs nobody a try. A connection that ends in the
# middle of a content may have taken the rest of it along: the sender has written the dot, or it has not.
_AFTER = {
    "accepted": {ACCEPTED}, "nobody": {FAILED}, "no": {FAILED}, "policy": {OPEN, FAILED}, "busy": {OPEN},
    "cut": {OPEN, UNCERTAIN}, "silent": {UNCERTAIN},
}  # fmt: skip


@dataclass
class Way:
    """may_be: everything that the person may be now; `open` is among it while they may still be sent to.

    repeats: how many further copies are no fault (transactional: at least once). reasons: why the engine may have
    passed them over at one of its visits. window_from: when their time to be tried began.
    """

    campaign: int
    person: int
    code: str
    marketing: bool
    single: bool
    window_from: datetime
    not_before: datetime
    may_be: set[str] = field(default_factory=lambda: {OPEN})
    reasons: set[str] = field(default_factory=set)
    copies: list[datetime] = field(default_factory=list)
    repeats: int = 0
    tries: int = 0
    answers: int = 0
    deaths: int = 0
    is_expired: bool = False

    @property
    def is_open(self) -> bool:
        return OPEN in self.may_be

    @property
    def is_surely_over(self) -> bool:
        return not self.is_open

    def look(self, now: datetime, reasons: set[str]) -> None:
        """The engine has a visit: what could it do with them?"""
        if not self.is_open or now < self.not_before:
            return
        self.reasons |= reasons
        window = MARKETING_WINDOW if self.marketing else TRANSACTIONAL_WINDOW
        self.is_expired = self.is_expired or now >= self.window_from + window

    def keep(self, at: datetime) -> str | None:
        """A copy more. Returns what is wrong with that."""
        self.copies.append(at)
        if self.marketing and len(self.copies) > 1:
            return f"doubled: {len(self.copies)} copies of a marketing message"
        if len(self.copies) > 1 + self.repeats:
            return f"doubled: {len(self.copies)} copies without a reason"
        return None

    def answer(self, word: str, at: datetime) -> None:
        """The provider's word, and the sender lives to hear it."""
        self.answers += 1
        if word == "later" or (word == "silent" and not self.marketing):
            self.repeats += word == "silent"
            self._deferred(at)
            return
        self.may_be = _AFTER[word] - (set() if self.marketing else {UNCERTAIN})
        if OPEN in self.may_be:
            self.not_before = at

    def _deferred(self, at: datetime) -> None:
        self.tries += 1
        self.not_before = at + timedelta(seconds=1)
        self.may_be = {OPEN} if self.tries < TRIES else {FAILED}

    def die(self, *, was_kept: bool, was_answered: bool) -> None:
        """Their sender died while it was about them."""
        if was_kept and not was_answered:
            self.may_be = set()
        if self.marketing:
            self.may_be.add(UNCERTAIN)
            return
        self.may_be.add(OPEN)
        self.tries += was_kept and not was_answered
        if self.tries >= TRIES:
            self.may_be.add(FAILED)
        self.repeats += 1

    def lose(self) -> None:
        """A machine is gone that may have had them: nobody can know."""
        if self.marketing:
            self.may_be.add(UNCERTAIN)
        else:
            self.may_be.add(OPEN)
            self.repeats += 1
            self.deaths += 1

    def ends(self, *, is_stopped: bool, poisoned: bool) -> set[str]:
        """What they may be when nothing is left to do."""
        found = self.may_be - {OPEN}
        if self.is_open:
            found |= {"skipped"} if self.reasons else set()
            found |= {"cancelled"} if is_stopped else set()
            # Each lost machine may have cost a try.
            spent = self.is_expired or poisoned or self.tries + self.deaths >= TRIES
            found |= {FAILED} if spent else set()
        return found
