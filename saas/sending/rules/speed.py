"""Pure decisions about speed: how large chunks are and when each may start."""

from saas.sending.types import CHUNK_PEOPLE, CHUNK_S


def chunk_size(rate_per_minute: int | None) -> int:
    """Return how many people a chunk holds: at most 500, at most five seconds of the channel's rate, at least one."""
    if rate_per_minute is None:
        return CHUNK_PEOPLE
    return max(1, min(CHUNK_PEOPLE, rate_per_minute * CHUNK_S // 60))


def chunk_gap_s(rate_per_minute: int | None, size: int) -> float:
    """Return how many seconds lie between the starts of two chunks at the channel's rate; 0 without a limit."""
    return 0.0 if rate_per_minute is None else size * 60 / rate_per_minute
