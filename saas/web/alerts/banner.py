"""What stands on top of every page of a workspace while something is wrong there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import g
from flask_babel import gettext

from saas.http.types import Context
from saas.kernel.ids import show
from saas.notices.models import Alert
from saas.notices.queries import open_alerts
from saas.notices.types import AlertKind

_PATHS: Final[Mapping[str, str]] = {
    "cam": "campaigns/{}", "chn": "settings/channels/{}", "imp": "imports/{}", "inv": "settings/members",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """An alert as pages show it. `href` leads to what it is about, None where there is no page of it."""

    title: str
    text: str
    href: str | None
    raised_at: datetime
    cleared_at: datetime | None


def banner() -> Sequence[Line]:
    """Return the open alerts of the page's workspace; none outside of one, and none on pages about an error."""
    context = g.get("page_context")
    if not isinstance(context, Context) or context.actor.tenant_id is None:
        return []
    return [line(row) for row in open_alerts(context.session, actor=context.actor)]


def line(row: Alert) -> Line:
    """Return an alert in words."""
    here = show("wsp", row.tenant_id)
    path = _PATHS.get(row.subject.partition("_")[0])
    href = f"/w/{here}/{path.format(row.subject)}" if path else None
    return Line(_title(AlertKind(row.kind)), row.text, href, row.raised_at, row.cleared_at)


def _title(kind: AlertKind) -> str:
    titles = {
        AlertKind.CHANNEL_DOWN: gettext("A channel does not take messages"),
        AlertKind.NOT_STARTED: gettext("A campaign has not started"),
        AlertKind.NO_PROGRESS: gettext("Sending stands still"),
        AlertKind.HELD: gettext("A campaign is held"),
        AlertKind.WORK_FAILING: gettext("Something fails again and again"),
        AlertKind.POISON: gettext("A message ends its senders"),
        AlertKind.SEALED: gettext("Nothing is sent from this database"),
        AlertKind.QUOTA_USED: gettext("The messages of this month are used up"),
    }
    return str(titles[kind])
