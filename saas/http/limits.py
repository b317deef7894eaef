"""Rate limits: per key, person or address; Redis when it is there, memory when not (security.md K)."""

from typing import Final, cast

from flask import Flask, Response, g, request
from flask_limiter import Limiter
from limits import RateLimitItem, WindowStats
from limits.strategies import STRATEGIES, FixedWindowRateLimiter

from saas.platform.settings import Settings

_STRATEGY: Final = "counted-fixed-window"


class _Counted(FixedWindowRateLimiter):
    """A fixed window that remembers the count its hit was told, so that an answer's headers need no second question."""

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Count a request. False when it is one too many."""
        count = self.storage.incr(item.key_for(*identifiers), item.get_expiry(), amount=cost)
        g.rate_count = count
        return count <= item.amount

    def remaining(self, item: RateLimitItem, *identifiers: str) -> int:
        """Return how many requests are left of the present request's window."""
        count = g.rate_count if "rate_count" in g else self.storage.get(item.key_for(*identifiers))
        return max(0, item.amount - cast("int", count))

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """Return how many requests are left; when the window ends is told to nobody."""
        return WindowStats(0.0, self.remaining(item, *identifiers))


STRATEGIES[_STRATEGY] = _Counted


def _caller() -> str:
    given = request.headers.get("Authorization", "")
    return f"key:{given[-24:]}" if given else f"address:{request.remote_addr}"


limiter = Limiter(key_func=_caller, strategy=_STRATEGY)


def register(app: Flask, settings: Settings) -> None:
    """Limit every route; write the RateLimit headers of draft-ietf-httpapi-ratelimit-headers."""
    app.config.update(
        RATELIMIT_STORAGE_URI=settings.redis_url.replace("unix://", "redis+unix://"),
        RATELIMIT_DEFAULT=f"{settings.rate_limit_per_minute} per minute",
        RATELIMIT_HEADERS_ENABLED=False,
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True,
        RATELIMIT_SWALLOW_ERRORS=True,
        RATELIMIT_KEY_PREFIX="rl",
    )
    limiter.init_app(app)

    @app.after_request
    def _tell(response: Response) -> Response:
        current = limiter.current_limit
        if current is not None:
            response.headers["RateLimit"] = f'"default";r={current.remaining}'
            response.headers["RateLimit-Policy"] = f'"default";q={current.limit.amount};w={current.limit.get_expiry()}'
        return response
