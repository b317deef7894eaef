"""The audit log's page: entries with filters, the export, and who is mailed the daily head (U2, M7)."""

from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from flask import Response, request
from flask_babel import gettext

from saas.accounts import queries as accounts
from saas.audit import queries
from saas.audit import service as audit
from saas.audit.models import AuditSubscriber
from saas.audit.queries import Wanted
from saas.audit.rules import key_print, public_key, signing_key
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError
from saas.kernel.ids import BadId, parse, show
from saas.kernel.moments import is_given
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.permissions.types import Action
from saas.reports import policy
from saas.reports import queries as reports
from saas.reports.routes.reports import exported
from saas.reports.service import heads
from saas.tenants import queries as tenants
from saas.web import forms, pager
from saas.web.activity.lines import lines
from saas.web.activity.phrases import titles
from saas.web.refusals import beside
from saas.web.shell import frame, go, page

_FILTERS: Final = ("subject", "actor", "action", "from", "to")


@endpoint(Scope.TENANT, Action.AUDIT_READ)
def index(context: Context) -> Response:
    """Show the entries that the person may see, newest first."""
    return _index(context, {})


@endpoint(Scope.TENANT, Action.AUDIT_READ)
def export(context: Context) -> Response:
    """Download the whole chain."""
    return exported(context, since=None, until=None)


@endpoint(Scope.TENANT, Action.AUDIT_READ)
def subscribe(context: Context) -> Response:
    """Mail the daily head to the person."""
    audit.subscribe(context.session, actor=context.actor, zone=frame().zone, now=context.now)
    return go("web_settings.audit", text=gettext("The head is mailed to you each morning at 07:00."))


@endpoint(Scope.TENANT, Action.AUDIT_READ)
def list_address(context: Context) -> Response:
    """Mail the daily head to an address outside."""
    try:
        heads.list_address(context.session, actor=context.actor, email=forms.typed("email")["email"], now=context.now)
    except DomainError as error:
        context.session.rollback()
        return _index(context, {"email": " ".join(beside(error).values())})
    return go("web_settings.audit", text=gettext("The head is mailed there each morning at 07:00."))


@endpoint(Scope.TENANT, Action.AUDIT_READ)
def unsubscribe(context: Context, subscriber_id: str) -> Response:
    """Mail the daily head there no longer."""
    wanted = path_id("sub", subscriber_id, what="subscription")
    audit.unsubscribe(context.session, actor=context.actor, subscriber_id=wanted, now=context.now)
    return go("web_settings.audit", text=gettext("No head is mailed there any longer."))


def _index(context: Context, errors: dict[str, str]) -> Response:
    values = {name: request.args.get(name, "").strip() for name in _FILTERS}
    wanted, wrong = _wanted(values)
    sight = policy.sight(context.session, context.actor)
    found = reports.activity(context.session, wanted=wanted, sight=sight, page=pager.wanted())
    return page(
        "settings/audit.html",
        context,
        status=422 if errors or wrong else 200,
        lines=lines(context, found).rows,
        paging=pager.around(found, **values),
        values=values,
        errors={**wrong, **errors},
        typed=request.form.get("email", ""),
        filtered=any(values.values()),
        people=_people(context),
        actions=titles(),
        **_whole(context),
    )


def _wanted(values: dict[str, str]) -> tuple[Wanted, dict[str, str]]:
    """Return the filter that was typed, and what of it cannot be used."""
    wrong: dict[str, str] = {}
    days: dict[str, datetime | None] = {}
    for name, more in (("from", 0), ("to", 1)):
        days[name] = None
        try:
            day = date.fromisoformat(values[name]) if values[name] else None
        except ValueError:
            wrong[name] = gettext("Write a day, as 2026-11-30.")
            continue
        if day is not None and not is_given(day):
            wrong[name] = gettext("Choose a date in the years 2000 to 2199.")
        elif day is not None:
            days[name] = _midnight(day, more)
    actor_id = None
    if values["actor"]:
        kind = values["actor"].partition("_")[0]
        try:
            actor_id = parse(kind if kind in {"acc", "key"} else "acc", values["actor"])
        except BadId:
            wrong["actor"] = gettext("Choose somebody from the list.")
    wanted = Wanted(values["subject"][:100] or None, actor_id, values["action"] or None, days["from"], days["to"])
    return wanted, wrong


def _midnight(day: date, more: int) -> datetime:
    """Return when a day of the workspace's zone begins, or so many days later."""
    return datetime.combine(day + timedelta(days=more), time(), ZoneInfo(frame().zone))


def _people(context: Context) -> list[tuple[str, str]]:
    """Return members and API keys as choices."""
    first = PageRequest(MAX_LIMIT)
    found: dict[str, str] = {}
    if context.actor.may_somewhere(Action.MEMBER_READ):
        members = tenants.members(context.session, only=context.actor.projects(Action.MEMBER_READ), page=first)
        found |= {show("acc", member.account_id): member.name for member in members.rows}
    if context.actor.may_somewhere(Action.KEY_READ):
        keys = accounts.keys(context.session, projects=context.actor.projects(Action.KEY_READ), page=first)
        found |= {show("key", row.key_id): gettext("%(name)s (API key)", name=row.name) for row in keys.rows}
    return sorted(found.items(), key=lambda item: item[1].casefold())


def _whole(context: Context) -> dict[str, Any]:
    """Return what stands beside the log for those who may read all of it."""
    if not context.actor.may(Action.AUDIT_READ):
        return {"whole": False}
    no, own = queries.head(context.session)
    published = public_key(signing_key(context.vault.audit_seed))
    rows = queries.subscribers(context.session)
    may_list = context.actor.may(Action.WORKSPACE_WRITE)
    return {
        "whole": True,
        "head": (no, own.hex()),
        "public_key": published,
        "fingerprint": key_print(published),
        "mine": next((row for row in rows if row.account_id == context.actor.account_id), None),
        "may_list": may_list,
        "others": _others(context, rows) if may_list else [],
    }


def _others(context: Context, rows: Any) -> list[dict[str, str]]:
    others: list[AuditSubscriber] = [row for row in rows if row.account_id != context.actor.account_id or row.email]
    named = accounts.accounts(context.session, [row.account_id for row in others if row.account_id is not None])
    return [
        {
            "id": show("sub", row.subscriber_id),
            "name": row.email or (named[row.account_id].name if row.account_id in named else gettext("Unknown")),
        }
        for row in others
    ]
