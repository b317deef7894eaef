"""How each kind of step appears: its word, icon and colour, in groups to choose from; what its exits are called."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from flask_babel import gettext, lazy_gettext

from saas.campaigns.steps.kind import REMAINING, Raw
from saas.web import words


@dataclass(frozen=True, slots=True)
class Look:
    """How a kind of step appears: its word, icon and colour, and a sentence for those who choose one."""

    word: Any
    icon: str
    tint: str
    says: Any


KINDS: Final[Mapping[str, Look]] = MappingProxyType(
    {
        "email": Look(lazy_gettext("Email"), "mail", "k-msg", lazy_gettext("Each person gets an email.")),
        "webhook_message": Look(
            lazy_gettext("Webhook message"), "code", "k-msg",
            lazy_gettext("A system of yours is called once for each person, as a message."),
        ),
        "random_split": Look(
            lazy_gettext("Random split"), "shuffle", "k-split",
            lazy_gettext("Chance deals people out, in exact shares. One share may get nothing, to compare with."),
        ),
        "ab_test": Look(
            lazy_gettext("A/B test"), "gauge", "k-split",
            lazy_gettext("A part of the people tries variants of a message; the rest get the one that does best."),
        ),
        "segment_split": Look(
            lazy_gettext("Audience split"), "funnel", "k-split",
            lazy_gettext("The first audience that somebody is in decides their way."),
        ),
        "engagement_split": Look(
            lazy_gettext("Engagement split"), "mouse-pointer-click", "k-split",
            lazy_gettext("What people did with an earlier message decides their way; looked at once."),
        ),
        "condition": Look(
            lazy_gettext("Condition"), "circle-question-mark", "k-split",
            lazy_gettext("One question about each person’s attributes and consent: yes or no."),
        ),
        "gate": Look(
            lazy_gettext("Gate"), "door-open", "k-gate",
            lazy_gettext("Another system looks at the people, and lets them through or not."),
        ),
        "decision": Look(
            lazy_gettext("Decision"), "zap", "k-split",
            lazy_gettext("Waits for something that a person does, up to a limit: yes, or no."),
        ),
        "wait": Look(
            lazy_gettext("Wait"), "hourglass", "k-gate",
            lazy_gettext("Some time, until a date, an hour of the person’s day, or a date that you know of them."),
        ),
        "set_attribute": Look(
            lazy_gettext("Set attributes"), "tag", "k-act", lazy_gettext("Writes down something about each person.")
        ),
        "change_list": Look(
            lazy_gettext("Change list"), "list", "k-act", lazy_gettext("Puts people on a list, or takes them off.")
        ),
        "change_points": Look(
            lazy_gettext("Change points"), "chart-column", "k-act", lazy_gettext("Gives points, or takes some.")
        ),
        "call_webhook": Look(
            lazy_gettext("Call webhook"), "code", "k-act",
            lazy_gettext("Asks a system of yours about each person; its answer may fill attributes."),
        ),
        "other_campaign": Look(
            lazy_gettext("Other campaign"), "megaphone", "k-act",
            lazy_gettext("Starts another campaign for people, or stops their way in it."),
        ),
        "notify_staff": Look(
            lazy_gettext("Tell colleagues"), "bell", "k-act",
            lazy_gettext("Those who may control the campaign are told how many people came by."),
        ),
        "end": Look(
            lazy_gettext("End"), "flag", "k-end", lazy_gettext("The way ends here, with a reason that reports show.")
        ),
    }
)  # fmt: skip
GROUPS: Final = (
    (lazy_gettext("Messages"), ("email", "webhook_message")),
    (
        lazy_gettext("Ways that part"),
        ("random_split", "ab_test", "segment_split", "engagement_split", "condition", "decision", "gate"),
    ),
    (lazy_gettext("Time"), ("wait",)),
    (
        lazy_gettext("Actions"),
        ("set_attribute", "change_list", "change_points", "call_webhook", "other_campaign", "notify_staff"),
    ),
    (lazy_gettext("End"), ("end",)),
)
_UNKNOWN: Final = Look(lazy_gettext("Unknown kind"), "circle-help", "k-end", "")
EXITS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        REMAINING: lazy_gettext("The rest"),
        "yes": lazy_gettext("Yes"),
        "no": lazy_gettext("No"),
        "sent": lazy_gettext("Then"),
        "done": lazy_gettext("Then"),
        "failed": lazy_gettext("Failed"),
        "accepted": lazy_gettext("Accepted"),
        "rejected": lazy_gettext("Rejected"),
        "timeout": lazy_gettext("No answer in time"),
        "opened": lazy_gettext("Opened"),
        "clicked": lazy_gettext("Clicked"),
        "converted": lazy_gettext("Converted"),
    }
)


# What happens to people whose own time of day has passed at the start of a step that follows their clocks.
PAST: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "send": lazy_gettext("By each person’s clock; where the time has passed already it is sent at once"),
        "next_day": lazy_gettext("By each person’s clock; where the time has passed already it is sent the next day"),
        "skip": lazy_gettext("By each person’s clock; where the time has passed already nothing is sent"),
    }
)


def past_word(local_time: Mapping[str, Any]) -> str:
    """Return by whose clock a step's time is meant, and what happens where it has passed (S40)."""
    past = str(local_time.get("past") or "send")
    return str(PAST.get(past, past))


def look_of(kind: str | None) -> Look:
    """Return how a kind appears; of one that there is not, that it is unknown."""
    return KINDS.get(kind or "", _UNKNOWN)


def percent(value: object) -> str:
    """Return a share: "12.5 %"."""
    number = words.number(value) if isinstance(value, int | float) else "?"
    return f"{number}\u00a0%"


def branch_name(branch: Mapping[str, Any]) -> str:
    """Return what a branch is called; without a name, its key."""
    return str(branch.get("name") or (branch.get("key") or "?").upper())


def exit_word(step: Raw, word: str) -> str:
    """Return what an exit of a step is called: "A · 50 %", "Yes", "The rest"."""
    branch = next((each for each in step.get("branches") or () if each.get("key") == word), None)
    if branch is None:
        return str(EXITS.get(word, word))
    parts = [branch_name(branch)]
    if branch.get("weight") is not None:
        parts.append(percent(branch["weight"]))
    if branch.get("holdout"):
        parts.append(str(gettext("gets nothing")))
    return " · ".join(parts)
