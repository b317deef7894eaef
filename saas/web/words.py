"""Words that several pages share: moments as people read them, roles, rights, reasons."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, format_timedelta
from babel.numbers import format_decimal
from flask_babel import get_locale, gettext
from markupsafe import Markup

from saas.channels.types import Purpose
from saas.kernel.moments import in_zone
from saas.permissions.types import Action, Role, WorkspaceState
from saas.tenants.types import WorkspaceMove


def language() -> str:
    """Return the language that this page speaks."""
    return str(get_locale() or "en")


def when(moment: datetime, zone: str, *, now: datetime) -> str:
    """Return a moment as "Fri 20 Nov 07:30" in a zone; with the year when it is not the present one."""
    local, present = in_zone(moment, ZoneInfo(zone)), now.astimezone(ZoneInfo(zone))
    pattern = "EEE d MMM HH:mm" if local.year == present.year else "EEE d MMM y HH:mm"
    return format_datetime(local, pattern, locale=language())


def time_tag(moment: datetime, zone: str, *, now: datetime) -> Markup:
    """Return a moment as a <time> element."""
    local = in_zone(moment, ZoneInfo(zone))
    template = Markup('<time class="num" datetime="{}">{}</time>')
    return template.format(local.isoformat(timespec="seconds"), when(moment, zone, now=now))


def ago(moment: datetime, *, now: datetime) -> str:
    """Return how far a moment is from now: "3 hours ago", "in 2 days"."""
    return str(format_timedelta(moment - now, add_direction=True, locale=language()))


def city(zone: str) -> str:
    """Return the city of an IANA zone, which stands behind times: "Oslo"."""
    return zone.rpartition("/")[2].replace("_", " ")


def number(value: float) -> str:
    """Return a number with its thousands marked."""
    return str(format_decimal(value, locale=language()))


def letters(name: str) -> str:
    """Return the two letters of a workspace's monogram."""
    words = [word for word in name.split() if word[:1].isalnum()]
    found = words[0][:1] + words[1][:1] if len(words) > 1 else "".join(words)[:2]
    return found.upper() or "?"


def listed(parts: Sequence[str]) -> str:
    """Return words as a list: "one, two or three"."""
    if len(parts) < 2:
        return "".join(parts)
    return str(gettext("%(some)s or %(last)s", some=", ".join(parts[:-1]), last=parts[-1]))


def purposes() -> dict[str, str]:
    """Return the words for what a channel's messages are for."""
    return {Purpose.MARKETING.value: gettext("Marketing"), Purpose.TRANSACTIONAL.value: gettext("Transactional")}


def health_word(reason: str | None) -> str:
    """Return why nothing is sent through a channel configuration for a while."""
    words = {
        "sign_in": gettext("The server refused the sign-in several times."),
        "connect": gettext("The server could not be reached several times."),
        "tls": gettext("The server offers no connection that can be trusted (TLS)."),
        "refusals": gettext("The server refused many messages in a row."),
        "no_answer": gettext("The server took messages and did not answer, several times in a row."),
    }
    return str(words.get(reason or "", reason or gettext("The server took no messages.")))


def role_word(role: Role | str) -> str:
    """Return a role's name."""
    words = {
        Role.ADMIN: gettext("Administrator"),
        Role.APPROVER: gettext("Approver"),
        Role.MANAGER: gettext("Manager"),
        Role.VIEWER: gettext("Viewer"),
        Role.AGENCY_OWNER: gettext("Agency owner"),
        Role.AGENCY_ADMIN: gettext("Agency administrator"),
        Role.AGENCY_MEMBER: gettext("Agency member"),
    }
    return str(words[Role(role)])


def standing_word(state: WorkspaceState) -> str:
    """Return how a workspace stands, as a sentence."""
    words = {
        WorkspaceState.ACTIVE: gettext("The workspace is active."),
        WorkspaceState.SUSPENDED: gettext("The workspace is suspended: all can be read, nothing is sent or changed."),
        WorkspaceState.ARCHIVED: gettext(
            "The workspace is archived: only the agency’s owners and administrators see it."
        ),
    }
    return str(words[state])


def standing_move(move: WorkspaceMove) -> str:
    """Return what can happen to a workspace, as a button says it."""
    words = {
        WorkspaceMove.SUSPEND: gettext("Suspend"),
        WorkspaceMove.ACTIVATE: gettext("Activate"),
        WorkspaceMove.ARCHIVE: gettext("Archive"),
        WorkspaceMove.RESTORE: gettext("Take out of the archive"),
    }
    return str(words[move])


def right_word(action: Action) -> str:
    """Return what a right allows, as it stands after "This needs the right to"."""
    words = {
        Action.WORKSPACE_CREATE: gettext("create workspaces"),
        Action.WORKSPACE_READ: gettext("see the workspace"),
        Action.WORKSPACE_WRITE: gettext("change the workspace"),
        Action.PROJECT_READ: gettext("see projects"),
        Action.PROJECT_WRITE: gettext("change projects"),
        Action.MEMBER_READ: gettext("see members"),
        Action.MEMBER_WRITE: gettext("invite members and give roles"),
        Action.KEY_READ: gettext("see API keys"),
        Action.KEY_WRITE: gettext("make and revoke API keys"),
        Action.CHANNEL_READ: gettext("see channel configurations"),
        Action.CHANNEL_WRITE: gettext("change channel configurations"),
        Action.CHANNEL_TEST: gettext("send test messages"),
        Action.CONTACT_READ: gettext("see people"),
        Action.CONTACT_WRITE: gettext("import and change people"),
        Action.LIST_READ: gettext("see lists"),
        Action.LIST_WRITE: gettext("change lists"),
        Action.AUDIENCE_READ: gettext("see audiences"),
        Action.AUDIENCE_WRITE: gettext("change audiences"),
        Action.CAMPAIGN_READ: gettext("see campaigns"),
        Action.CAMPAIGN_WRITE: gettext("edit campaigns"),
        Action.CAMPAIGN_SUBMIT: gettext("ask for approval"),
        Action.CAMPAIGN_APPROVE: gettext("approve campaigns"),
        Action.CAMPAIGN_PUBLISH: gettext("publish campaigns"),
        Action.CAMPAIGN_CONTROL: gettext("pause, resume and stop campaigns"),
        Action.CAMPAIGN_TRIGGER: gettext("start campaigns for single people"),
        Action.REPORT_READ: gettext("see reports"),
        Action.AUDIT_READ: gettext("see the audit log"),
        Action.POLICY_WRITE: gettext("write approval policies"),
        Action.CAMPAIGN_COMMENT: gettext("comment on campaigns"),
        Action.WORKSPACE_STATE: gettext("suspend and archive the workspace and set its quotas"),
        Action.AGENCY_READ: gettext("see the agency"),
        Action.AGENCY_WRITE: gettext("change the agency’s staff"),
        Action.EVENT_WRITE: gettext("tell events of people"),
    }
    return str(words[action])
