"""A sender process: takes chunks, makes messages, hands them over, settles (ledger.md)."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import blake2b
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError

from saas.campaigns.rules.document import Damaged
from saas.channels.models import ChannelConfiguration
from saas.channels.rules import ehlo_name, wire_address
from saas.channels.service import open_adapter
from saas.channels.types import Adapter, Outgoing
from saas.content.jail.renderer import Renderer
from saas.content.rules import tokens
from saas.content.service import compose, merge_row, render_email
from saas.content.types import Addressing, Purpose, Rendered, RenderFailure, Sender
from saas.kernel.clock import Clock, monotonic
from saas.kernel.errors import Unavailable
from saas.kernel.ids import show
from saas.ledger.types import Exc, Reason
from saas.platform.agenda.types import Picked, Piece
from saas.platform.db import tenant_session
from saas.platform.secrets.service import Vault
from saas.platform.settings import Settings
from saas.sending.rules.endings import CHANNEL_S, given_back
from saas.sending.service.claim import claim
from saas.sending.service.compiled import Compiled, Compiler
from saas.sending.service.doors import close_door, run_of, why_shut
from saas.sending.service.owner import Owner
from saas.sending.service.settle import NotOurs, settle
from saas.sending.service.watch import ChunkWatch
from saas.sending.types import Claimed, Ending, Person

_KEPT_ADAPTERS: Final = 20
_AGAIN_S: Final = 0.2
_SETTLE_S: Final = 12.0  # with the fence's five seconds well below the thirty after which others may settle

log = structlog.get_logger()


@dataclass(slots=True)
class SenderProcess:
    """What a sender keeps for as long as its process lives."""

    owner: Owner
    clock: Clock
    settings: Settings
    vault: Vault
    renderer: Renderer
    leaving: Callable[[], bool]
    compiler: Compiler
    adapters: dict[tuple[UUID, UUID, int], Adapter]
    unsure: tuple[Claimed, Compiled] | None = None

    def visit(self, picked: Picked) -> Piece:
        """Claim the next chunk of a run in the transaction that picked its row; send it after the commit."""
        session, now = picked.session, picked.now
        if not self.owner.alive():
            return Piece(units=0, again_at=now + timedelta(seconds=1))  # fenced: this process is about to end
        if self.unsure is not None:
            return Piece(units=0, again_at=now, then=self.give_back)
        run = run_of(session, UUID(picked.subject))
        if run is None:
            return Piece(units=0)
        try:
            compiled = self.compiler.of(session, run)
        except Damaged as error:
            log.error("sending.damaged", run=str(run.run_id), why=str(error))  # noqa: TRY400  a finding, no bug
            return close_door(session, run, why_shut(session, run) or "document", now)
        claimed = claim(
            session,
            run_id=run.run_id,
            owner=self.owner.id,
            marketing=compiled.marketing,
            topic=compiled.document.topic,
            fields=compiled.fields,
            now=now,
        )
        if claimed is None:
            return close_door(session, run, why_shut(session, run), now)
        self.unsure = (claimed, compiled)  # until we hear that it was committed
        return Piece(units=claimed.size, again_at=now, then=partial(self.deliver, claimed, compiled))

    def deliver(self, claimed: Claimed, compiled: Compiled) -> None:
        """Hand a claimed chunk over and settle it."""
        self.unsure = None
        watch = ChunkWatch(claimed, owner=self.owner, leaving=self.leaving)
        try:
            if claimed.people:
                adapter = self._adapter(claimed)
                adapter.deliver(self._messages(claimed, compiled, watch), watch=watch)
        except (OperationalError, InterfaceError) as error:
            log.warning("sending.no_database", run=str(claimed.run_id), error=str(error.orig))
        except Unavailable as error:
            # Nobody failed: who was not offered is given back, and tried again when we can.
            log.warning("sending.unavailable", run=str(claimed.run_id), error=error.detail)
            watch.broken(again_in_s=CHANNEL_S)
        except Exception:
            log.exception("sending.broken", run=str(claimed.run_id), chunk=claimed.chunk_no)
            watch.broken(again_in_s=CHANNEL_S)
        self._settle(claimed, compiled, watch.endings(_chance))

    def give_back(self) -> None:
        """Give back a chunk whose claim was sent to the database and never answered: nobody of it was offered."""
        if self.unsure is None:
            return
        claimed, compiled = self.unsure
        self._settle(claimed, compiled, [given_back(person.entry_id) for person in claimed.people])
        self.unsure = None

    def _settle(self, claimed: Claimed, compiled: Compiled, endings: list[Ending]) -> None:
        """Settle, again and again while the database is away: nobody else can, as long as this process lives.

        A fenced process may too: the token says whether the chunk is still ours. When it cannot be done the process
        gives up, and whoever proves that it is gone settles.
        """
        until = monotonic() + _SETTLE_S
        while monotonic() < until:
            try:
                self._settle_once(claimed, compiled, endings)
            except NotOurs:
                log.warning("sending.not_ours", run=str(claimed.run_id), chunk=claimed.chunk_no)
            except (OperationalError, InterfaceError) as error:
                log.warning("sending.settle_again", run=str(claimed.run_id), error=str(error.orig))
                time.sleep(_AGAIN_S)
                continue
            except Exception:
                self.owner.give_up()
                raise
            return
        self.owner.give_up()

    def _settle_once(self, claimed: Claimed, compiled: Compiled, endings: list[Ending]) -> None:
        with tenant_session(self.owner.engine, claimed.tenant_id) as session:
            settle(
                session,
                run_id=claimed.run_id,
                step_no=claimed.step_no,
                chunk_no=claimed.chunk_no,
                token=claimed.token,
                purpose=compiled.document.purpose,
                tries_for_s=compiled.tries_for_s,
                endings=endings,
                now=self.clock.now(),
            )
            session.commit()

    def _messages(self, claimed: Claimed, compiled: Compiled, watch: ChunkWatch) -> Iterator[Outgoing]:
        """Yield the messages one by one; a person who opted out meanwhile, or whose message fails, is passed over."""
        keys = {
            purpose: tokens.subkey(self.vault.link_key, tenant_id=claimed.tenant_id, purpose=purpose)
            for purpose in (Purpose.CLICK, Purpose.UNSUBSCRIBE)
        }
        rows = [self._row(claimed, compiled, person, keys) for person in claimed.people]
        now = self.clock.now()
        for index, rendered in enumerate(render_email(self.renderer, compiled.content, rows)):
            if isinstance(rendered, RenderFailure):
                log.info("sending.render_failed", run=str(claimed.run_id), why=rendered.reason)
                watch.failed(index, Exc.RENDER_FAILED, Reason.TEMPLATE_FAILED)
                continue
            message = self._compose(claimed, compiled, claimed.people[index], rendered, keys, now)
            if isinstance(message, RenderFailure):
                log.info("sending.bad_header", run=str(claimed.run_id), why=message.reason)
                watch.failed(index, Exc.RENDER_FAILED, Reason.BAD_HEADER)
                continue
            if watch.may_still_get(index):
                channel = compiled.step.channel
                sender = channel["return_path"] or channel["from_address"]
                yield Outgoing(index, sender, wire_address(claimed.people[index].email) or "", message)

    def _row(
        self, claimed: Claimed, compiled: Compiled, person: Person, keys: dict[Purpose, bytes]
    ) -> dict[str, object]:
        base = self.settings.public_url
        click = f"{base}/c/{self._token(claimed, person, keys, Purpose.CLICK)}" if compiled.marketing else ""
        return merge_row(
            contact={**person.values, "email": person.email},
            campaign_name="",
            workspace_name=compiled.document.workspace_name,
            unsubscribe_url=self._unsubscribe_url(claimed, person, keys),
            click_url=click,
            context=person.context,
        )

    def _compose(
        self,
        claimed: Claimed,
        compiled: Compiled,
        person: Person,
        rendered: Rendered,
        keys: dict[Purpose, bytes],
        now: datetime,
    ) -> bytes | RenderFailure:
        channel = compiled.step.channel
        return compose(
            rendered,
            addressing=Addressing(
                sender=Sender(channel["from_name"], channel["from_address"], channel["reply_to"] or ""),
                to=wire_address(person.email) or "",
                message_id=self._message_id(claimed, person, channel["from_address"]),
                date=now,
                unsubscribe_url=self._unsubscribe_url(claimed, person, keys) if compiled.marketing else "",
                campaign_id=show("cam", claimed.campaign_id),
            ),
        )

    def _unsubscribe_url(self, claimed: Claimed, person: Person, keys: dict[Purpose, bytes]) -> str:
        return f"{self.settings.public_url}/u/{self._token(claimed, person, keys, Purpose.UNSUBSCRIBE)}"

    def _token(self, claimed: Claimed, person: Person, keys: dict[Purpose, bytes], purpose: Purpose) -> str:
        return tokens.make(
            keys[purpose],
            purpose=purpose,
            tenant_id=claimed.tenant_id,
            entry_id=person.entry_id,
            step_no=claimed.step_no,
        )

    def _message_id(self, claimed: Claimed, person: Person, from_address: str) -> str:
        """Return the one Message-ID of this person at this step, the same at every try; it tells nothing."""
        what = claimed.tenant_id.bytes + person.entry_id.to_bytes(8, "big") + claimed.step_no.to_bytes(2, "big")
        digest = blake2b(what, key=self.vault.link_key, person=b"message-id", digest_size=16).hexdigest()
        return f"<{digest}@{from_address.rpartition('@')[2]}>"

    def _adapter(self, claimed: Claimed) -> Adapter:
        """Return the kept adapter of a channel; a changed configuration (another version) gets a fresh one."""
        with tenant_session(self.owner.engine, claimed.tenant_id) as session:
            channel = session.get_one(ChannelConfiguration, (claimed.tenant_id, claimed.channel_id))
            key = (claimed.tenant_id, channel.channel_id, channel.version)
            if key not in self.adapters:
                self._close_adapters(keep=_KEPT_ADAPTERS - 1, instead_of=key)
                self.adapters[key] = open_adapter(
                    session,
                    channel=channel,
                    vault=self.vault,
                    allow=self.settings.egress_allow,
                    ehlo_name=ehlo_name(self.settings.public_url),
                )
        return self.adapters[key]

    def _close_adapters(self, *, keep: int, instead_of: tuple[UUID, UUID, int]) -> None:
        old = [key for key in self.adapters if key[:2] == instead_of[:2]]
        surplus = list(self.adapters)[: max(0, len(self.adapters) - keep)]
        for key in {*old, *surplus}:
            self.adapters.pop(key).close()

    def close(self) -> None:
        """Leave everything politely."""
        for adapter in self.adapters.values():
            adapter.close()
        self.adapters.clear()
        self.renderer.close()
        self.owner.end()


def _chance() -> float:
    return secrets.randbelow(1_000_000) / 1_000_000
