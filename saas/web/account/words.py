"""Words of the account area."""

from flask_babel import gettext

from saas.notices.types import MailMode, NoticeKind


def kind_word(kind: NoticeKind) -> str:
    """Return when a notice of this kind comes."""
    words = {
        NoticeKind.APPROVAL_REQUESTED: gettext("Somebody asks for your approval"),
        NoticeKind.APPROVAL_DECIDED: gettext("Your campaign is approved, sent back or rejected"),
        NoticeKind.APPROVAL_REMINDER: gettext("An approval is due soon"),
        NoticeKind.APPROVAL_LATE: gettext("An approval is late"),
        NoticeKind.MENTIONED: gettext("Somebody mentions you"),
        NoticeKind.COMMENTED: gettext("Somebody comments on your campaign"),
        NoticeKind.ACCESS_ASKED: gettext("Somebody asks for access"),
        NoticeKind.ACCESS_GRANTED: gettext("You are given access"),
        NoticeKind.KEY_OWNER_LEFT: gettext("An API key’s maker has left"),
        NoticeKind.CAMPAIGN_HELD: gettext("A campaign is held"),
        NoticeKind.AUDIT_HEAD: gettext("The day’s head of the audit log"),
        NoticeKind.FLOW_STEP: gettext("A step of a flow was reached"),
        NoticeKind.STEP_SHIFTED: gettext("A time has shifted"),
    }
    return str(words[kind])


def mode_word(mode: MailMode) -> str:
    """Return when it is mailed."""
    words = {
        MailMode.OFF: gettext("No mail"),
        MailMode.AT_ONCE: gettext("At once"),
        MailMode.DAILY: gettext("Daily digest"),
    }
    return str(words[mode])
