"""The rules of an approval policy: from a form without script to what the API's schema reads, and into words.

A rule stands in the form in the shape of the API. What cannot be read is handed on as it was typed: the schema says
what is wrong with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from flask_babel import gettext, ngettext
from werkzeug.datastructures import MultiDict

from saas.campaigns.schemas.policies import MAX_RULES, MAX_STAGES
from saas.web.forms import whole

ADD: Final = "add"
REMOVE: Final = "remove"
UP: Final = "up"
STAGE: Final = "stage"
DROP: Final = "drop"


def new_rule() -> dict[str, Any]:
    """Return an empty rule: whatever it is, one person who may approve."""
    return {
        "name": "",
        "when": {
            "kinds": [],
            "channels": [],
            "channel_ids": [],
            "projects": [],
            "tags": [],
            "people_from": None,
            "people_below": None,
        },
        "then": {
            "stages": [_new_stage()],
            "order": "at_once",
            "copies": [],
            "deadline": None,
            "publisher": "approval",
            "drift": {"percent": 20, "people": 100},
            "reminders": {"before_min": 120, "after_min": 60},
            "code_word": False,
        },
    }


def rules_of_form(form: MultiDict[str, str]) -> list[dict[str, Any]]:
    """Read all rules `rule-<n>-…` in their order."""
    found = []
    for no in range(MAX_RULES + 1):
        if f"rule-{no}-name" not in form:
            break
        found.append(_rule(form, f"rule-{no}-"))
    return found


def changed(rules: list[dict[str, Any]], do: str) -> list[dict[str, Any]]:
    """Return the rules after a button of the form: one more, one less, one up, a stage more or less."""
    what, _, where = do.partition(":")
    no, _, place = where.partition(".")
    if what == ADD:
        return [*rules, new_rule()]
    if not no.isdecimal() or int(no) >= len(rules):
        return rules
    at = int(no)
    if what == REMOVE:
        return rules[:at] + rules[at + 1 :]
    if what == UP and at > 0:
        return [*rules[: at - 1], rules[at], rules[at - 1], *rules[at + 1 :]]
    stages = rules[at]["then"]["stages"]
    if what == STAGE and len(stages) < MAX_STAGES:
        stages.append(_new_stage())
    elif what == DROP and place.isdecimal() and int(place) < len(stages) > 1:
        del stages[int(place)]
    return rules


def condition_words(when: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return when a rule fits, as a sentence's part."""
    kinds = kind_words()
    parts = [
        _either([kinds[kind] for kind in when["kinds"]]),
        _either([names.get(each, each) for each in (*when["projects"], *when["channel_ids"])]),
        _either([gettext("tag “%(tag)s”", tag=tag) for tag in when["tags"]]),
        gettext("%(num)s people or more", num=when["people_from"]) if when["people_from"] is not None else "",
        gettext("fewer than %(num)s people", num=when["people_below"]) if when["people_below"] is not None else "",
    ]
    return ", ".join(str(part) for part in parts if part) or str(gettext("every campaign"))


def requirement_words(then: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return what a rule asks for, as a sentence."""
    joint = gettext(", then ") if then["order"] == "sequence" else gettext(" and ")
    text = str(joint).join(_stage_words(stage, names) for stage in then["stages"])
    if then["publisher"] == "manager":
        text += str(gettext("; then a manager publishes"))
    if then["deadline"]:
        hours = then["deadline"]["hours"]
        of_start = then["deadline"]["of"] == "before_start"
        text += str(
            gettext("; by %(num)s h before the start", num=hours)
            if of_start
            else gettext("; within %(num)s h", num=hours)
        )
    if then.get("code_word"):
        text += str(gettext("; links ask for a code word"))
    if then["copies"]:
        text += str(gettext("; copy to %(who)s", who=_either([names.get(each, each) for each in then["copies"]])))
    return text


def kind_words() -> dict[str, str]:
    """Return the kinds of campaign that policies tell apart."""
    return {
        "dated": gettext("with a date"),
        "api_marketing": gettext("on call, marketing"),
        "api_transactional": gettext("on call, transactional"),
        "flowing": gettext("flowing"),
    }


def role_words() -> dict[str, str]:
    """Return of whom a stage's signatures are."""
    return {
        "": gettext("anybody who may approve"),
        "approver": gettext("approvers"),
        "admin": gettext("administrators"),
    }


def _stage_words(stage: Mapping[str, Any], names: Mapping[str, str]) -> str:
    named = [names.get(each, each) for each in (*stage["accounts"], *stage["outside"])]
    roles = [role_words()[stage["role"] or ""]] if stage["role"] or not named else []
    count = ngettext("%(num)s signature", "%(num)s signatures", stage["needed"])
    return str(gettext("%(count)s of %(whom)s", count=count, whom=_either([*roles, *named])))


def _either(words: Sequence[str]) -> str:
    return str(gettext(" or ")).join(str(word) for word in words)


def _new_stage() -> dict[str, Any]:
    return {"needed": 1, "role": None, "accounts": [], "outside": []}


def _rule(form: MultiDict[str, str], at: str) -> dict[str, Any]:
    hours = form.get(f"{at}deadline_hours", "").strip()
    deadline = {"hours": whole(hours), "of": form.get(f"{at}deadline_of", "")} if hours else None
    return {
        "name": form.get(f"{at}name", "").strip(),
        "when": {
            **{each: form.getlist(f"{at}{each}") for each in ("kinds", "channels", "channel_ids", "projects")},
            "tags": [tag.strip() for tag in form.get(f"{at}tags", "").split(",") if tag.strip()],
            "people_from": whole(form.get(f"{at}people_from", "")),
            "people_below": whole(form.get(f"{at}people_below", "")),
        },
        "then": {
            "stages": _stages(form, at),
            "order": form.get(f"{at}order", "at_once"),
            "copies": form.getlist(f"{at}copies"),
            "deadline": deadline,
            "publisher": form.get(f"{at}publisher", "approval"),
            "drift": {name: whole(form.get(f"{at}drift_{name}", "")) for name in ("percent", "people")},
            "reminders": {name: whole(form.get(f"{at}{name}", "")) for name in ("before_min", "after_min")},
            "code_word": f"{at}code_word" in form,
        },
    }


def _stages(form: MultiDict[str, str], at: str) -> list[dict[str, Any]]:
    found = []
    for place in range(MAX_STAGES):
        if f"{at}stage-{place}-needed" not in form:
            break
        named = form.getlist(f"{at}stage-{place}-named")
        found.append(
            {
                "needed": whole(form.get(f"{at}stage-{place}-needed", "")),
                "role": form.get(f"{at}stage-{place}-role") or None,
                "accounts": [each for each in named if each.startswith("acc_")],
                "outside": [each for each in named if each.startswith("out_")],
            }
        )
    return found
