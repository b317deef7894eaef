"""What the steps of the demo share: the callers, the inbox, the ids they made, and patience."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import idna

from saas.cli.demo.client import Api, Unexpected
from saas.cli.demo.contacts import ContactsFile
from saas.cli.demo.memory import Memory, Person, Run
from saas.cli.demo.screen import Screen, Wrong, agree, insist
from saas.cli.processes import Ports, Processes
from saas.kernel.clock import Clock, monotonic
from saas.platform.embedded.inbox.client import InboxClient
from saas.platform.embedded.inbox.types import Summary

TIME_ZONE: Final = "Europe/Oslo"
PATIENCE_S: Final = 60.0
_LOOK_S: Final = 0.1

T = TypeVar("T")


@dataclass(slots=True)
class Result:
    """The numbers of the last line. They stay at 0 as long as they are not known."""

    planned: int = 0
    accepted: int = 0
    skipped: int = 0
    failed: int = 0
    uncertain: int = 0
    inbox: int = 0
    triggered: int = 0
    trigger_p95_ms: int = 0

    def line(self, *, ok: bool) -> str:
        """Return the last line."""
        return (
            f"demo: planned={self.planned} accepted={self.accepted} skipped={self.skipped} failed={self.failed} "
            f"uncertain={self.uncertain} inbox={self.inbox} triggered={self.triggered} "
            f"trigger_p95_ms={self.trigger_p95_ms} {'ok' if ok else 'not ok'}"
        )


@dataclass(slots=True)
class World:
    """Everything a step needs. Ids are set by the step that makes the thing."""

    screen: Screen
    ports: Ports
    processes: Processes
    memory: Memory
    clock: Clock
    inbox: InboxClient
    lead_s: int
    file: ContactsFile
    result: Result
    run: Run | None = None
    callers: dict[str, Api] = field(default_factory=dict)
    project_id: str = ""
    list_id: str = ""
    channels: dict[str, str] = field(default_factory=dict)
    first_mail: int = 0  # what lies in the inbox up to this number is of earlier runs

    @property
    def present(self) -> Run:
        """Return the run that is under way."""
        if self.run is None:
            raise Wrong("There is no run yet.")
        return self.run

    def api(self) -> Api:
        """Return a caller who is nobody yet."""
        return Api(self.ports.web_url)

    def enter(self, person: Person, *, workspace: str = "") -> Api:
        """Return a caller who has signed in as this person."""
        caller = Api(self.ports.web_url, workspace=workspace)
        session = caller.sign_in(email=person.email, password=person.password)
        agree(f"The name of {person.email}", found=session["name"], expected=person.name)
        return caller

    def until(self, what: str, look: Callable[[], T | None], *, timeout_s: float = PATIENCE_S) -> T:
        """Return what `look` finds as soon as it finds something. Raises Wrong when that takes too long."""
        end = monotonic() + timeout_s
        while True:
            found = look()
            if found is not None:
                return found
            self.processes.check()
            if monotonic() > end:
                raise Wrong(f"{what}: nothing for {timeout_s:g} s. The logs are in {self.processes.logs}.")
            time.sleep(_LOOK_S)

    def mail_to(self, address: str, *, after: int) -> Summary:
        """Return the first message to an address after this number, as soon as there is one. Raises Wrong."""
        return self.until(f"A message to {address}", lambda: next(self.inbox.messages(to=address, after=after), None))

    def mails_of(self, campaign_id: str, *, after: int | None = None) -> list[Summary]:
        """Return the campaign's messages in the inbox, over all of its pages; addresses as people write them."""
        start = self.first_mail if after is None else after
        mine = (mail for mail in self.inbox.messages(after=start) if mail.headers_campaign == campaign_id)
        return [replace(mail, rcpt_to=tuple(map(_as_written, mail.rcpt_to))) for mail in mine]

    def save(self) -> None:
        """Write down what the next demo must know."""
        self.memory.save()


def _as_written(address: str) -> str:
    """Return an address with its domain in letters again; on the wire it is in its xn-- form."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{idna.decode(domain)}"


def newest_mail(inbox: InboxClient) -> int:
    """Return the number of the newest message in the inbox."""
    return max((mail.id for mail in inbox.messages()), default=0)


def check_balance(report: dict[str, Any]) -> None:
    """Insist that every planned person is in exactly one of the numbers. Raises Wrong."""
    parts = ("accepted", "skipped", "failed", "cancelled", "uncertain", "open")
    total = sum(report[part] for part in parts)
    insist(
        f"The numbers do not balance: planned {report['planned']}, all parts together {total}.",
        holds=total == report["planned"] and report["balanced"] is True,
    )


def check_mails(mails: list[Summary], *, accepted: int) -> None:
    """Insist on one message each: as many as were accepted, no Message-ID and no address twice. Raises Wrong."""
    ids = {mail.message_id for mail in mails}
    addresses = [address.casefold() for mail in mails for address in mail.rcpt_to]
    agree("Distinct Message-IDs in the inbox", found=len(ids), expected=accepted)
    agree("Messages in the inbox", found=len(mails), expected=len(ids))
    insist("A message has no Message-ID.", holds=None not in ids)
    insist("An address got the same campaign twice.", holds=len(set(addresses)) == len(addresses) == len(mails))


def refused(caller: Api, path: str, body: object, *, status: int, code: str) -> str:
    """Insist that a post is refused in just this way. Returns the refusal's words. Raises Wrong."""
    answer = caller.call("POST", path, body=body)
    if answer.status != status or answer.code != code:
        raise Unexpected(f"POST {path} (to be refused with {status} {code})", answer)
    return str(answer.body["detail"])
