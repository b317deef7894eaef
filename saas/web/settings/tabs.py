"""The views of the settings, of which each person sees those that they may open."""

from typing import Any, Final

from flask import url_for
from flask_babel import lazy_gettext

from saas.permissions.types import Action
from saas.web.shell import frame

_TABS: Final = (
    ("channels", lazy_gettext("Channels"), Action.CHANNEL_READ),
    ("members", lazy_gettext("Members"), Action.MEMBER_READ),
    ("roles", lazy_gettext("Roles"), Action.WORKSPACE_READ),
    ("policies", lazy_gettext("Approval"), Action.CAMPAIGN_READ),
    ("keys", lazy_gettext("API keys"), Action.KEY_READ),
    ("projects", lazy_gettext("Projects"), Action.PROJECT_READ),
    ("categories", lazy_gettext("Categories"), Action.CAMPAIGN_READ),
    ("workspace", lazy_gettext("Workspace"), Action.WORKSPACE_READ),
    ("audit", lazy_gettext("Audit log"), Action.AUDIT_READ),
)


def tabs() -> list[tuple[str, Any, str, None]]:
    """Return key, text and address of each view, as the macro `tabs` wants them."""
    actor = frame().actor
    may = actor.may_somewhere if actor is not None else None
    return [(key, text, url_for(f"web_settings.{key}"), None) for key, text, action in _TABS if may and may(action)]
