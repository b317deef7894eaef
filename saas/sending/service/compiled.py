"""Published revisions made ready for sending, once per process: hashed, read, links numbered, templates taken apart."""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from saas.campaigns.models import Revision
from saas.campaigns.rules.document import Damaged, Document, Message, read, tries_for_s
from saas.campaigns.service.letter import fields_of, is_marketing, letter_of
from saas.content.jail.renderer import Renderer
from saas.content.service.letters import Letter
from saas.content.service.payloads import Payload
from saas.ledger.models import Run
from saas.platform.db import bound_tenant
from saas.sending.service.claim import Wanted

_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class Compiled:
    """One message step of one revision, ready to be claimed for and written."""

    document: Document
    step: Message
    letter: Letter | Payload
    wanted: Wanted

    @property
    def tries_for_s(self) -> int:
        """Return for how long people are tried again."""
        return tries_for_s(self.document.purpose)

    def quiet_until(self, now: datetime) -> datetime | None:
        """Return when the quiet hours end in which it is now; None when it is not quiet."""
        silence = self.document.silence
        return None if silence is None else silence.ends_at(now, self.document.time_zone)

    def quiet_from(self, now: datetime) -> datetime | None:
        """Return when quiet hours begin next; None for never."""
        silence = self.document.silence
        return None if silence is None else silence.next_at(now, self.document.time_zone)


class Compiler:
    """Compiles and remembers, by run: a run never changes its revision, hash or channel (the claim compares them)."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._kept: OrderedDict[tuple[UUID, UUID], Compiled] = OrderedDict()

    def kept(self, session: Session, run_id: UUID) -> Compiled | None:
        """Return what is remembered of a run."""
        key = (bound_tenant(session), run_id)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def of(self, session: Session, run: Run) -> Compiled:
        """Return the compiled step of a run. Raises Damaged when the stored bytes are not what was signed."""
        found = self._kept[(run.tenant_id, run.run_id)] = _compile(session, run, self._renderer)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found

    def runs_of(self, *, tenants: Collection[UUID], channels: Collection[UUID]) -> list[UUID]:
        """Return the remembered runs of these tenants, and those that send through these channels."""
        return [
            run_id
            for (tenant_id, run_id), found in list(self._kept.items())
            if tenant_id in tenants or found.wanted.channel_id in channels
        ]

    def close(self) -> None:
        """End the renderer."""
        self._renderer.close()


def _compile(session: Session, run: Run, renderer: Renderer) -> Compiled:
    revision = session.get_one(Revision, (run.tenant_id, run.campaign_id, run.revision_no))
    document = read(revision.document or b"", expected_hash=run.content_hash)
    step = document.message(run.step_no)
    if dict(step.channel) != run.channel_fingerprint:
        raise Damaged("the run's channel is not the one in the document")
    letter = letter_of(renderer, document, step, campaign_id=run.campaign_id)
    return Compiled(document, step, letter, _wanted(document, step, run, is_marketing(document)))


def _wanted(document: Document, step: Message, run: Run, marketing: bool) -> Wanted:  # noqa: FBT001  a fact, no switch
    return Wanted(
        run_id=run.run_id,
        campaign_id=run.campaign_id,
        step_no=run.step_no,
        revision_no=run.revision_no,
        content_hash=run.content_hash,
        channel_id=step.channel_id,
        dated=run.dated,
        marketing=marketing,
        topic=document.topic,
        fields=tuple(fields_of(step)),
        cap=document.cap,
    )
