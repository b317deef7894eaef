"""The daily head of the audit chain as a mail (U2)."""

from collections.abc import Mapping
from typing import Any

from saas.audit.rules import key_print
from saas.notices.types import SystemMail


def head_mail(words: Mapping[str, Any], *, to: str, workspace: str, time: str, url: str, outside: bool) -> SystemMail:
    """Return the mail with a day's signed head. `time` is when it was published, in the workspace's zone.

    Whoever keeps these mails can show later that no entry of that day or before was changed: an export that is checked
    with the number and the hash from here (`saas audit verify FILE --anchor NUMBER:HASH`) holds, or it was changed.
    """
    number, head = words["entries"], words["head"]
    command = f"saas audit verify FILE --anchor {number}:{head}"
    return SystemMail(
        to=to,
        subject=f"Audit log of {workspace}: {words['day']}",
        paragraphs=(
            f"The audit log of {workspace} ({words['workspace']}) on {words['day']}, {time}.",
            f"Number of entries: {number}",
            f"Hash of the last one: {head}",
            f"Signature (Ed25519): {words['signature']}",
            f"Public key: {words['public_key']} (fingerprint {key_print(words['public_key'])})",
            f"Keep this mail: with it anybody can show whether an entry up to this one was changed later. {command}",
        ),
        button="Open the audit log",
        url=url,
        closing=(
            f"An administrator of {workspace} listed this address for the head of its audit log; they can end it too."
            if outside
            else "You asked for this mail each morning. You can end it in the settings, under Audit log."
        ),
    )
