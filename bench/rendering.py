"""The product's writing of messages as one function of rows: the render job's only door to it.

What a sender does for each person is in it: the link tokens, the Message-ID, the headers, the parts encoded for the
wire. Compiling the letter is not: that is done once per process.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from saas.content.jail.renderer import Renderer
from saas.content.rules.links import track
from saas.content.service.letters import compile_letter
from saas.content.types import EmailContent, Letterhead, Sender
from saas.kernel.clock import SystemClock
from saas.platform.secrets.service import Vault
from saas.sending.service.addressees import Addresser
from saas.sending.types import Claimed, Person

_FROM: Final = "club@news.northwind.example"
_NOBODY: Final = UUID(int=1)


@contextmanager
def product_renderer(
    content: EmailContent, *, tenant_id: UUID
) -> Iterator[Callable[[Sequence[Mapping[str, str]]], int]]:
    """Give a function that writes the messages of some people as bytes for the wire, and counts them."""
    renderer = Renderer()
    letterhead = Letterhead(Sender("Northwind Club", _FROM, ""), marketing=True, campaign_id="cam_1")
    letter = compile_letter(
        renderer, track(content).content, letterhead, campaign_name="", workspace_name="Northwind Outdoor"
    )
    addresser = Addresser(Vault(b"k" * 32), "https://t.example.com")

    def write(rows: Sequence[Mapping[str, str]]) -> int:
        now = SystemClock().now()
        people = tuple(Person(number, _NOBODY, row["email"], row, None, 1) for number, row in enumerate(rows, start=1))
        claimed = Claimed(
            tenant_id=tenant_id,
            run_id=_NOBODY,
            campaign_id=_NOBODY,
            step_no=1,
            revision_no=1,
            content_hash="",
            channel_id=_NOBODY,
            channel_version=1,
            chunk_no=1,
            token=1,
            size=len(people),
            deaths=0,
            next_at=None,
            claimed_at=now,
            marketing=True,
            topic="newsletter",
            people=people,
        )
        addressees = list(addresser.addressees(claimed, from_address=_FROM))
        return sum(isinstance(message, bytes) for message in letter.write(addressees, date=now))

    try:
        yield write
    finally:
        renderer.close()
