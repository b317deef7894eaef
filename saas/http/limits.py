"""Rate limits: per key, person or address; Redis when it is there, memory when not (security.md K)."""

from flask import Flask, Response, request
from flask_limiter import Limiter

from saas.platform.settings import Settings


def _caller() -> str:
    given = request.headers.get("Authorization", "")
    return f"key:{given[-24:]}" if given else f"address:{request.remote_addr}"


limiter = Limiter(key_func=_caller)


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
