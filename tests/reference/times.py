"""Wall times and the five-minute lead (R1, R17)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

LEAD = timedelta(minutes=5)
GRACE = timedelta(minutes=60)


def moment(wall: str, zone: str) -> datetime:
    """A missing local time is the first valid minute after it, a doubled one its first."""
    local, tz = datetime.fromisoformat(wall), ZoneInfo(zone)
    for minutes in range(25 * 60):
        shown = local + timedelta(minutes=minutes)
        for fold in (0, 1):
            found = shown.replace(tzinfo=tz, fold=fold).astimezone(UTC)
            if found.astimezone(tz).replace(tzinfo=None) == shown:
                return found
        local = local.replace(second=0, microsecond=0)
    raise ValueError(wall)


def effective(wall: str, zone: str, published_at: datetime) -> datetime:
    """A minimum lead after publication, not an addition to the plan."""
    return max(moment(wall, zone), published_at + LEAD)
