"""What entries are about: names and pages of things, looked up as they are shown, for those who may see the thing."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from flask import url_for
from sqlalchemy.orm import InstrumentedAttribute

from saas.accounts.models import Account, ApiKey
from saas.audiences.models import Audience, ContactList, Import
from saas.audiences.policy import sees
from saas.campaigns.desk.models import CampaignTemplate, Category
from saas.campaigns.models import Campaign
from saas.channels.models import ChannelConfiguration
from saas.http.types import Context
from saas.kernel.ids import BadId, parse
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant
from saas.tenants.models import Project, Workspace


@dataclass(frozen=True, slots=True)
class About:
    """The thing that an entry is about; `href` is None where there is no page for it."""

    name: str
    href: str | None


@dataclass(frozen=True, slots=True)
class _Kind:
    """How things of a kind are found: by `column`, named by `name`, shown on the page of `endpoint`."""

    column: InstrumentedAttribute[UUID]
    name: InstrumentedAttribute[str]
    may_see: Callable[[Actor, Any], bool]
    endpoint: str = ""


def _with(right: Action) -> Callable[[Actor, Any], bool]:
    return lambda actor, row: actor.may(right, row.project_id)


def _anywhere(right: Action) -> Callable[[Actor, Any], bool]:
    return lambda actor, _row: actor.may_somewhere(right)


_KINDS: Final[Mapping[str, _Kind]] = MappingProxyType(
    {
        "cam": _Kind(Campaign.campaign_id, Campaign.name, _with(Action.CAMPAIGN_READ), "web_campaigns.show_campaign"),
        "lst": _Kind(ContactList.list_id, ContactList.name, _with(Action.LIST_READ), "web_audiences.list_detail"),
        "aud": _Kind(Audience.audience_id, Audience.name, sees, "web_audiences.audience"),
        "imp": _Kind(
            Import.import_id, Import.file_name, _anywhere(Action.CONTACT_WRITE), "web_audiences.import_detail"
        ),
        "chn": _Kind(
            ChannelConfiguration.channel_id,
            ChannelConfiguration.name,
            _anywhere(Action.CHANNEL_READ),
            "web_settings.channel",
        ),
        "cat": _Kind(Category.category_id, Category.name, _anywhere(Action.CAMPAIGN_READ)),
        "cpt": _Kind(CampaignTemplate.template_id, CampaignTemplate.name, _anywhere(Action.CAMPAIGN_READ)),
        "prj": _Kind(Project.project_id, Project.name, _with(Action.PROJECT_READ)),
        "key": _Kind(ApiKey.key_id, ApiKey.name, _with(Action.KEY_READ)),
        "wsp": _Kind(Workspace.tenant_id, Workspace.name, lambda *_: True),
    }
)


def about(context: Context, subjects: Iterable[str]) -> dict[str, About]:
    """Return names of things by their shown ids; those that are gone, or not for these eyes, are left out."""
    by_kind: dict[str, dict[UUID, str]] = {}
    for subject in subjects:
        kind = subject.partition("_")[0]
        with suppress(BadId):  # some subjects are words, as the key of an attribute
            by_kind.setdefault(kind, {})[parse(kind, subject)] = subject
    found: dict[str, About] = {}
    for kind, ids in by_kind.items():
        if kind in _KINDS:
            found.update(_things(context, _KINDS[kind], ids))
    if context.actor.may_somewhere(Action.MEMBER_READ):
        found.update(_people(context, by_kind.get("acc", {})))
    return found


def _things(context: Context, kind: _Kind, ids: Mapping[UUID, str]) -> Iterator[tuple[str, About]]:
    model = kind.column.class_
    wanted = sa.select(model).where(model.tenant_id == bound_tenant(context.session), kind.column.in_(ids))
    for row in context.session.scalars(wanted):
        if kind.may_see(context.actor, row):
            shown = ids[getattr(row, kind.column.key)]
            argument: dict[str, Any] = {kind.column.key: shown}
            href = url_for(kind.endpoint, **argument) if kind.endpoint else None
            yield shown, About(getattr(row, kind.name.key), href)


def _people(context: Context, ids: Mapping[UUID, str]) -> Iterator[tuple[str, About]]:
    wanted = sa.select(Account.account_id, Account.name).where(Account.account_id.in_(ids))
    for account_id, name in context.session.execute(wanted):
        yield ids[account_id], About(name, None)
