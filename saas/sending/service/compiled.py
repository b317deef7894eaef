"""Published revisions made ready for sending, once per process: hashed, read, links numbered."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from saas.campaigns.models import Revision
from saas.campaigns.rules.document import Damaged, Document, Step, read, tries_for_s
from saas.channels.types import Purpose
from saas.content.rules.links import track
from saas.content.types import EmailContent
from saas.ledger.models import Run
from saas.platform.db import bound_tenant

_KEPT: Final = 64
_CONTACT: Final = "contact."


@dataclass(frozen=True, slots=True)
class Compiled:
    """One message step of one revision, ready to render.

    fields: the contact's attributes that the templates use; nobody's others leave the database.
    """

    document: Document
    step: Step
    content: EmailContent
    fields: list[str]
    marketing: bool

    @property
    def tries_for_s(self) -> int:
        """Return for how long people are tried again."""
        return tries_for_s(self.document.purpose)


class Compiler:
    """Compiles and remembers. The key holds the hash, so a changed document can never be served from memory."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[UUID, str, int], Compiled] = OrderedDict()

    def of(self, session: Session, run: Run) -> Compiled:
        """Return the compiled step of a run. Raises Damaged when the stored bytes are not what was signed."""
        key = (bound_tenant(session), run.content_hash, run.step_no)
        if key not in self._kept:
            self._kept[key] = _compile(session, run)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def _compile(session: Session, run: Run) -> Compiled:
    revision = session.get_one(Revision, (run.tenant_id, run.campaign_id, run.revision_no))
    document = read(revision.document or b"", expected_hash=run.content_hash)
    step = document.step(run.step_no)
    if dict(step.channel) != run.channel_fingerprint:
        raise Damaged("the run's channel is not the one in the document")
    marketing = Purpose(document.purpose) is Purpose.MARKETING
    sources = EmailContent(**step.content)
    # Transactional messages track nothing (ledger.md, links): secrets in their links never pass our logs.
    content = track(sources).content if marketing else sources
    fields = sorted(name.removeprefix(_CONTACT) for name in step.used if name.startswith(_CONTACT))
    return Compiled(document, step, content, [f for f in fields if f != "email"], marketing)
