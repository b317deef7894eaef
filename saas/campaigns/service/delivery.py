"""How fast, in which parts and when a campaign leaves, as approvers are told (S15, R14)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from saas.campaigns.rules.delivery import takes_s
from saas.campaigns.rules.document import Document, FrequencyCap, Wave
from saas.campaigns.rules.quiet import Nights, QuietHours, SendWindow
from saas.channels import queries as channels


@dataclass(frozen=True, slots=True)
class Delivery:
    """How fast, in which parts and when it leaves.

    takes_s: how many seconds it takes: the speed paces everybody in the audience, the channel's present rate those who
    could be sent to now, and the clock stops in quiet hours; None where nothing holds it back but how fast the relay
    answers. ends_at: when that is over, as long as the start is known. quiet_until: when the quiet hours end in which
    it starts; None where it does not start in any. discards: what would leave when nothing may is not sent at all.
    """

    speed_per_hour: int | None
    waves: Sequence[Wave]
    frequency_cap: FrequencyCap | None
    quiet_hours: QuietHours | None
    takes_s: int | None
    ends_at: datetime | None
    quiet_until: datetime | None
    send_window: SendWindow | None
    discards: bool


def delivery_of(
    session: Session,
    document: Document,
    *,
    count: int | None,
    reachable: int | None,
    starts: datetime | None,
    now: datetime,
) -> Delivery:
    """Return how a document leaves.

    count: everybody of the audience, None where calls name them; reachable: those of them who could be sent to.
    starts: None while nobody knows.
    """
    silence, zone = document.held_by, document.time_zone
    takes = None
    if count is not None:
        takes = takes_s(
            count,
            speed_per_hour=document.speed_per_hour,
            waves=document.waves,
            messages=reachable,
            rate_per_minute=_slowest_rate(session, document),
            nights=Nights.of(silence, start=starts or now, zone=zone),
        )
    return Delivery(
        speed_per_hour=document.speed_per_hour,
        waves=document.waves,
        frequency_cap=document.cap,
        quiet_hours=document.quiet,
        takes_s=takes,
        ends_at=_end(starts, takes),
        quiet_until=silence.ends_at(starts, zone) if starts is not None and silence is not None else None,
        send_window=document.window,
        discards=document.discards,
    )


def _end(starts: datetime | None, takes: int | None) -> datetime | None:
    if starts is None or takes is None:
        return None
    try:
        return starts + timedelta(seconds=takes)
    except OverflowError:  # a hundred million people, one an hour
        return None


def _slowest_rate(session: Session, document: Document) -> int | None:
    """Return the lowest rate of the channels as they are configured now, messages a minute."""
    found = [channels.find(session, step.channel_id) for step in document.messages]
    rates = [row.rate_per_minute for row in found if row is not None and row.rate_per_minute is not None]
    return min(rates, default=None)
