"""Actions of the audit chain as people say them: each stands behind a name, as in "Nora approved revision 2"."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from flask_babel import gettext, lazy_gettext

from saas.permissions.types import Role
from saas.web import words

# One line for each action; facts of the entry may stand in it by their names.
PHRASES: Final[Mapping[str, Any]] = {
    "access.asked": lazy_gettext("asked for a role (%(role)s)"),
    "access.declined": lazy_gettext("declined a role that was asked for (%(role)s)"),
    "access.granted": lazy_gettext("gave a role that was asked for (%(role)s)"),
    "approval_link.code_right": lazy_gettext("opened a mailed link about revision %(revision)s with the code word"),
    "approval_link.code_wrong": lazy_gettext("typed a wrong code word at a mailed link about revision %(revision)s"),
    "approval_link.resent": lazy_gettext("sent a mailed link about revision %(revision)s again"),
    "approval_link.used": lazy_gettext("decided about revision %(revision)s by a mailed link"),
    "attribute.registered": lazy_gettext("made an attribute of people"),
    "audience.changed": lazy_gettext("changed the audience"),
    "audience.created": lazy_gettext("made the audience"),
    "audience.deleted": lazy_gettext("deleted an audience"),
    "audit.exported": lazy_gettext("exported the audit log, entries %(first_no)s to %(last_no)s"),
    "audit.subscribed": lazy_gettext("subscribed to the daily head of the audit log"),
    "audit.unsubscribed": lazy_gettext("ended a subscription to the daily head of the audit log"),
    "call_file.cancelled": lazy_gettext("cancelled the rest of a file of calls"),
    "call_file.errors_downloaded": lazy_gettext("downloaded the error file of a file of calls"),
    "call_file.finished": lazy_gettext("finished a file of calls"),
    "call_file.started": lazy_gettext("uploaded a file of calls"),
    "campaign.archived": lazy_gettext("archived it"),
    "campaign.begun": lazy_gettext("created the campaign from a template"),
    "campaign.commented": lazy_gettext("commented on revision %(revision)s"),
    "campaign.completed": lazy_gettext("finished: everybody is settled"),
    "campaign.created": lazy_gettext("created the campaign"),
    "campaign.described": lazy_gettext("changed its %(changed)s"),
    "campaign.duplicated": lazy_gettext("created it as a copy of another campaign"),
    "campaign.retimed": lazy_gettext("moved its start: the rules of its time zone have changed"),
    "campaign.held": lazy_gettext("held it until somebody decides"),
    "campaign.paused": lazy_gettext("paused it"),
    "campaign.renamed": lazy_gettext("renamed it"),
    "campaign.restored": lazy_gettext("brought it back from the archive"),
    "campaign.resumed": lazy_gettext("resumed it"),
    "gate.released": lazy_gettext("released a sendgate"),
    "gate.released_by_link": lazy_gettext("released a sendgate, as the system behind it said"),
    "campaign.start_switched": lazy_gettext("changed how it starts"),
    "campaign.started": lazy_gettext("started sending"),
    "campaign.stopped": lazy_gettext("finished stopping"),
    "campaign.stopping": lazy_gettext("stopped it"),
    "category.archived": lazy_gettext("archived the category"),
    "category.changed": lazy_gettext("changed the category"),
    "category.created": lazy_gettext("made the category"),
    "category.deleted": lazy_gettext("deleted a category"),
    "category.restored": lazy_gettext("brought the category back"),
    "channel.archived": lazy_gettext("took the channel configuration out of use"),
    "channel.breaker_closed": lazy_gettext("goes on sending through the channel"),
    "channel.breaker_opened": lazy_gettext("stopped sending through the channel for a while"),
    "channel.changed": lazy_gettext("changed the channel configuration"),
    "channel.created": lazy_gettext("made the channel configuration"),
    "channel.dkim_made": lazy_gettext("made a DKIM key"),
    "channel.dkim_removed": lazy_gettext("removed the DKIM key"),
    "channel.secret_rotated": lazy_gettext("made a new signing secret of the webhook"),
    "channel.tested": lazy_gettext("sent a test through the channel"),
    "channel.tried_now": lazy_gettext("had the channel tried at once"),
    "contact.unsubscribed": lazy_gettext("took an unsubscription in"),
    "import.attributes_made": lazy_gettext("made attributes of people, from the import's columns"),
    "import.cancelled": lazy_gettext("cancelled the import"),
    "import.errors_downloaded": lazy_gettext("downloaded the import's error file"),
    "import.finished": lazy_gettext("finished the import"),
    "import.started": lazy_gettext("started an import"),
    "invitation.accepted": lazy_gettext("accepted an invitation (%(role)s)"),
    "invitation.made": lazy_gettext("invited somebody (%(role)s)"),
    "invitation.resent": lazy_gettext("sent an invitation again"),
    "invitation.revoked": lazy_gettext("withdrew an invitation"),
    "key.kept": lazy_gettext("kept the API key of somebody who left"),
    "key.made": lazy_gettext("made an API key (%(role)s)"),
    "key.revoked": lazy_gettext("revoked an API key"),
    "key.rotated": lazy_gettext("replaced an API key"),
    "list.changed": lazy_gettext("changed the list"),
    "list.created": lazy_gettext("made the list"),
    "list.deleted": lazy_gettext("deleted a list"),
    "member.granted": lazy_gettext("gave a role (%(role)s)"),
    "member.removed": lazy_gettext("took a role away"),
    "outside_approver.asked_again": lazy_gettext("asked an approver without an account again to confirm the address"),
    "outside_approver.code_set": lazy_gettext("set the code word of an approver without an account"),
    "outside_approver.confirmed": lazy_gettext("confirmed the address of an approver without an account"),
    "outside_approver.listed": lazy_gettext("listed an approver without an account"),
    "outside_approver.revoked": lazy_gettext("took an approver without an account off the list"),
    "policy.changed": lazy_gettext("changed the approval policy"),
    "project.changed": lazy_gettext("changed the project's defaults"),
    "project.created": lazy_gettext("made the project"),
    "project.renamed": lazy_gettext("renamed the project"),
    "revision.approved": lazy_gettext("approved revision %(revision)s"),
    "revision.changes_requested": lazy_gettext("requested changes to revision %(revision)s"),
    "revision.confirmed": lazy_gettext("confirmed revision %(revision)s as it is now"),
    "revision.created": lazy_gettext("opened revision %(revision)s"),
    "revision.edited": lazy_gettext("edited revision %(revision)s"),
    "revision.late": lazy_gettext("found revision %(revision)s approved too late to start"),
    "revision.published": lazy_gettext("published revision %(revision)s"),
    "revision.rejected": lazy_gettext("rejected revision %(revision)s"),
    "revision.revoked": lazy_gettext("revoked the approval of revision %(revision)s"),
    "revision.signed": lazy_gettext("signed revision %(revision)s"),
    "revision.submitted": lazy_gettext("asked for approval of revision %(revision)s"),
    "revision.withdrawn": lazy_gettext("took revision %(revision)s back"),
    "seal.accepted": lazy_gettext("took the restored database over"),
    "seal.sealed": lazy_gettext("held everything: the database was restored or copied"),
    "staff.appointed": lazy_gettext("gave a role in the agency (%(role)s)"),
    "staff.dismissed": lazy_gettext("took somebody out of the agency"),
    "staff.given": lazy_gettext("gave somebody of the agency access"),
    "staff.invitation_resent": lazy_gettext("sent an invitation into the agency again"),
    "staff.invitation_revoked": lazy_gettext("withdrew an invitation into the agency"),
    "staff.invited": lazy_gettext("invited somebody into the agency (%(role)s)"),
    "staff.joined": lazy_gettext("joined the agency (%(role)s)"),
    "staff.taken": lazy_gettext("took access of somebody of the agency away"),
    "template.changed": lazy_gettext("changed the words of the template"),
    "template.deleted": lazy_gettext("deleted a template"),
    "template.imported": lazy_gettext("made the template of a file"),
    "template.saved": lazy_gettext("kept a campaign's draft as a template"),
    "workspace.changed": lazy_gettext("changed the workspace"),
    "workspace.created": lazy_gettext("made the workspace"),
    "workspace.moved": lazy_gettext("moved the workspace from %(from)s to %(to)s"),
}


# What an entry says was changed.
_CHANGED: Final[Mapping[str, Any]] = {
    "category": lazy_gettext("category"),
    "description": lazy_gettext("description"),
    "tags": lazy_gettext("tags"),
}


class _Facts(dict[str, Any]):
    """Facts of an entry; one that is missing is left open, so that any entry can be read."""

    def __missing__(self, _name: str) -> str:
        return "…"


_NEVER_BEGAN: Final = lazy_gettext("ended before it began: its time was over, and nobody was sent anything")


def phrase(action: str, facts: Mapping[str, Any]) -> str:
    """Return what was done. An action without a phrase of its own is told by its own word."""
    known = _NEVER_BEGAN if facts.get("began") is False else PHRASES.get(action)
    if known is None:
        return str(gettext("did: %(action)s", action=action.replace(".", ", ").replace("_", " ")))
    said = _Facts(facts)
    if facts.get("role") in set(Role):
        said["role"] = words.role_word(facts["role"])
    if isinstance(facts.get("changed"), list):
        said["changed"] = _together([_CHANGED.get(part, part) for part in facts["changed"]])
    return str(known) % said


def _together(parts: Sequence[Any]) -> str:
    """Return words as a list: "description and tags"."""
    texts = [str(part) for part in parts]
    if len(texts) < 2:
        return "".join(texts)
    return str(gettext("%(some)s and %(last)s", some=", ".join(texts[:-1]), last=texts[-1]))


def titles() -> list[tuple[str, str]]:
    """Return every known action with its words, as choices of a filter."""
    found = [(action, phrase(action, {})) for action in PHRASES]
    return sorted(
        ((action, text[:1].upper() + text[1:]) for action, text in found), key=lambda item: item[1].casefold()
    )
