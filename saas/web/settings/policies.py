"""Pages of approval policies: who has to approve what, the rules as a form, the replay, outside approvers (U3, U8)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from flask import Response, request, url_for
from flask_babel import gettext

from saas.accounts.queries import accounts
from saas.campaigns import queries
from saas.campaigns.routes.policies import replayed
from saas.campaigns.schemas.policies import CodeWordIn, OutsideIn, PolicyIn, RuleIn
from saas.campaigns.service import code_word as code_words
from saas.campaigns.service import mailed, policies
from saas.channels import queries as channels
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import Conflict, DomainError, Invalid
from saas.kernel.ids import show
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.permissions.policy import require
from saas.permissions.types import Action
from saas.tenants import queries as tenants
from saas.web import forms
from saas.web.denied import unless_may
from saas.web.refusals import beside, load
from saas.web.settings import policy_form
from saas.web.shell import go, page

_REPLAYED: Final = 60
_ALL: Final = PageRequest(MAX_LIMIT)


@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
def index(context: Context) -> Response:
    """Show who has to approve what: the workspace's rules, and those of projects."""
    return _index(context, {}, {})


@endpoint(Scope.TENANT, Action.POLICY_WRITE)
def edit(context: Context) -> Response:
    """Show the rules of the workspace, or of a project, as a form."""
    require(context.actor, Action.POLICY_WRITE, _project_id())
    row = policies.current(context.session, actor=context.actor, project_id=_project_id())
    rules = [_shown(rule) for rule in row.rules] if row is not None else []
    return _edit(context, rules, row.version if row is not None else 0, {})


@endpoint(Scope.TENANT, Action.POLICY_WRITE)
def save(context: Context) -> Response:
    """Save the rules; or change the form by one of its buttons; or replay them."""
    do, rules = request.form.get("do", "save"), policy_form.rules_of_form(request.form)
    if do not in {"save", "replay"}:
        return _edit(context, policy_form.changed(rules, do), forms.version(), {})
    loaded = load(PolicyIn(), {"rules": rules})
    if loaded.errors:
        return _edit(context, rules, forms.version(), loaded.errors)
    try:
        if do == "replay":
            body = {"rules": loaded.body["rules"], "last": _REPLAYED}
            found = replayed(context, _project_id(), body)
            return _edit(context, rules, forms.version(), {}, replay=found)
        policies.save(
            context.session,
            actor=context.actor,
            project_id=_project_id(),
            rules=loaded.body["rules"],
            version=forms.version(),
            now=context.now,
        )
    except DomainError as error:
        context.session.rollback()
        return _edit(context, rules, forms.version(), beside(error))
    text = gettext("Saved. Requests that are open keep what they were asked for.")
    return go("web_settings.policies", text=text)


@endpoint(Scope.TENANT, Action.POLICY_WRITE)
def add_outside(context: Context) -> Response:
    """List an outside approver."""
    values = forms.typed("email", "name")
    loaded = load(OutsideIn(), {**values, "code_word": request.form.get("code_word", "").strip() or None})
    errors = loaded.errors
    if not errors:
        try:
            cost = context.settings.password_cost
            policies.list_outside(context.session, actor=context.actor, cost=cost, now=context.now, **loaded.body)
        except DomainError as error:
            context.session.rollback()
            errors = beside(error)
        else:
            text = gettext("Listed. They count once they have confirmed their address.")
            return go("web_settings.policies", text=text)
    return _index(context, values, errors)


@endpoint(Scope.TENANT, Action.POLICY_WRITE)
def revoke_outside(context: Context, outside_id: str) -> Response:
    """Take an outside approver off the list."""
    found = path_id("out", outside_id, what="outside approver")
    policies.revoke_outside(context.session, actor=context.actor, outside_id=found, now=context.now)
    return go("web_settings.policies", text=gettext("Taken off the list. What they signed no longer counts."))


@endpoint(Scope.TENANT, Action.POLICY_WRITE)
def set_code_word(context: Context, outside_id: str) -> Response:
    """Set or change the code word that links ask an outside approver for."""
    found = path_id("out", outside_id, what="outside approver")
    loaded = load(CodeWordIn(), {"code_word": request.form.get("code_word", "").strip()})
    text, kind = " ".join(loaded.errors.values()), "error"
    if not loaded.errors:
        try:
            row = code_words.set_code_word(
                context.session,
                actor=context.actor,
                outside_id=found,
                code_word=loaded.body["code_word"],
                cost=context.settings.password_cost,
                now=context.now,
            )
        except Invalid as error:
            context.session.rollback()
            text = error.detail
        else:
            said = gettext("The code word of %(name)s is set. Tell it to them by another way than mail.", name=row.name)
            text, kind = str(said), "success"
    return go("web_settings.policies", text=text, kind=kind)


@endpoint(Scope.TENANT, Action.POLICY_WRITE)
def confirm_again(context: Context, outside_id: str) -> Response:
    """Send the mail again by which an outside approver confirms their address."""
    found = path_id("out", outside_id, what="outside approver")
    try:
        row = mailed.confirm_again(context.session, actor=context.actor, outside_id=found, now=context.now)
        text, kind = gettext("Another link goes to %(email)s. The one before it has ended.", email=row.email), "success"
    except Conflict as error:
        context.session.rollback()
        text, kind = error.detail, "warning"
    return go("web_settings.policies", text=text, kind=kind)


def _index(context: Context, values: dict[str, str], errors: dict[str, str]) -> Response:
    may_write = context.actor.may_somewhere(Action.POLICY_WRITE)
    listed = policies.outside_approvers(context.session) if may_write else []
    return page(
        "settings/policies.html",
        context,
        status=422 if errors else 200,
        places=_places(context),
        outside=[(show("out", row.outside_id), row) for row in listed],
        values=values,
        errors=errors,
        may_write=may_write,
        denied=unless_may(context.actor, Action.POLICY_WRITE),
    )


def _places(context: Context) -> list[dict[str, Any]]:
    """Return the workspace and each project that the person may see, with the rules that hold there in words."""
    rows = {row.project_id: row for row in queries.policies(context.session)}
    only = context.actor.projects(Action.CAMPAIGN_READ)
    projects = tenants.projects(context.session, only=only, page=_ALL).rows
    named: list[tuple[UUID | None, str]] = [
        (None, str(gettext("Whole workspace"))),
        *((row.project_id, row.name) for row in projects),
    ]
    names = _names(context, [rule for row in rows.values() for rule in row.rules])
    return [
        {
            "id": show("prj", project_id) if project_id else "",
            "name": name,
            "version": rows[project_id].version if project_id in rows else 0,
            "made_at": rows[project_id].made_at if project_id in rows else None,
            "may_write": context.actor.may(Action.POLICY_WRITE, project_id),
            "rules": [
                {
                    "name": rule["name"],
                    "when": policy_form.condition_words(rule["when"], names),
                    "then": policy_form.requirement_words(rule["then"], names),
                }
                for rule in (rows[project_id].rules if project_id in rows else [])
            ],
        }
        for project_id, name in named
    ]


def _edit(
    context: Context,
    rules: Sequence[Mapping[str, Any]],
    version: int,
    errors: dict[str, str],
    *,
    replay: dict[str, Any] | None = None,
) -> Response:
    project_id = _project_id()
    projects = tenants.projects(context.session, only=None, page=_ALL).rows
    names = {row.project_id: row.name for row in projects}
    place = names.get(project_id, "") if project_id else gettext("Whole workspace")
    return page(
        "settings/policy.html",
        context,
        status=422 if errors else 200,
        rules=rules,
        version=version,
        errors=errors,
        replay=replay,
        place=place,
        project=show("prj", project_id) if project_id else "",
        back=url_for("web_settings.policies"),
        kinds=policy_form.kind_words().items(),
        roles=policy_form.role_words().items(),
        projects=[(show("prj", row.project_id), row.name) for row in projects] if project_id is None else [],
        channels=[(show("chn", row.channel_id), row.name) for row in channels.channels(context.session, _ALL).rows],
        signers=_signers(context, project_id),
        readers=_people(context, Action.CAMPAIGN_READ, project_id),
    )


def _signers(context: Context, project_id: UUID | None) -> list[tuple[str, str]]:
    outside = [
        (show("out", row.outside_id), gettext("%(name)s (by mail)", name=row.name))
        for row in policies.outside_approvers(context.session)
    ]
    return [*_people(context, Action.CAMPAIGN_APPROVE, project_id), *outside]


def _people(context: Context, action: Action, project_id: UUID | None) -> list[tuple[str, str]]:
    found = accounts(context.session, list(queries.people_with(context.session, action, project_id)))
    return sorted(((show("acc", each), row.name) for each, row in found.items()), key=lambda one: one[1])


def _names(context: Context, rules: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the names of everything that rules mention; of people only while they have a role in this workspace."""
    mentioned = [each for rule in rules for stage in rule["then"]["stages"] for each in stage["accounts"]]
    mentioned += [each for rule in rules for each in rule["then"]["copies"]]
    ids = {path_id("acc", each, what="person") for each in mentioned}
    people = accounts(context.session, list(tenants.members_among(context.session, ids)))
    projects = tenants.projects(context.session, only=None, page=_ALL).rows
    used = channels.channels(context.session, _ALL).rows
    return (
        {show("acc", each): gettext("somebody without a role here") for each in ids}
        | {show("acc", each): row.name for each, row in people.items()}
        | {show("prj", row.project_id): row.name for row in projects}
        | {show("chn", row.channel_id): row.name for row in used}
        | {show("out", row.outside_id): row.name for row in policies.outside_approvers(context.session)}
    )


def _shown(rule: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = RuleIn().dump(rule)
    return found


def _project_id() -> UUID | None:
    text = request.values.get("project", "")
    return path_id("prj", text, what="project") if text else None
