"""create_app: settings in, a Flask application out. Nothing connects before its first use."""

from typing import Any

from flask import Flask, request
from flask_babel import Babel
from flask_migrate import Migrate
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from saas.accounts.login import login
from saas.app import blueprints, schema
from saas.app.examples import EXAMPLES
from saas.app.gate import DatabaseGate
from saas.audiences.service.audiences import keep_while
from saas.campaigns.queries import uses_audience
from saas.content.current import KEY as RENDERER
from saas.content.jail.renderer import Renderer
from saas.http import headers, limits, openapi, problem
from saas.http.shell import Shell, csrf, principal
from saas.kernel.clock import Clock, SystemClock
from saas.platform.db import db, refuse_powerful_role
from saas.platform.queue import Bell
from saas.platform.secrets.service import Vault
from saas.platform.settings import Settings

MODELS = schema.MODULES  # the session needs every mapper configured


def create_app(settings: Settings, *, clock: Clock | None = None) -> Flask:
    """Return the application for these settings."""
    app = Flask("saas", static_folder="web/static", template_folder="web/templates", root_path=_package_root())
    secure = settings.public_url.startswith("https://")
    app.config.update(_flask_config(settings, secure=secure))
    redis = connect_redis(settings.redis_url)
    app.extensions["countersign"] = Shell(
        settings=settings,
        clock=clock or SystemClock(),
        gate=DatabaseGate(),
        bell=Bell(redis),
        vault=Vault(settings.master_key),
    )
    app.extensions[RENDERER] = Renderer()
    keep_while(uses_audience)
    db.init_app(app)
    Migrate(app, db, directory="migrations")
    Babel(app)
    csrf.init_app(app)
    principal.init_app(app)
    login.init_app(app)
    login.session_protection = None  # sessions are revocable rows of ours; the cookie holds their token only
    limits.register(app, settings)
    headers.register(app, secure=secure)
    problem.register(app)
    _register_errors(app)
    _register_api(app)
    blueprints.register_pages(app)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        vars(app)["wsgi_app"] = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)
    return app


def connect_redis(url: str) -> Redis:
    """Return a client that gives up quickly: a bell that cannot be rung is no reason to keep anybody waiting."""
    return Redis.from_url(url, socket_timeout=5, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0))


def _package_root() -> str:
    return __file__.rsplit("/", 2)[0]


def _flask_config(settings: Settings, *, secure: bool) -> dict[str, Any]:
    return {
        "SECRET_KEY": settings.secret_key,
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": {
            "pool_size": settings.db_pool_size,
            "max_overflow": 0,
            "pool_pre_ping": True,
            "connect_args": {
                "connect_timeout": 5,
                "options": "-c statement_timeout=60000 -c client_connection_check_interval=1000",
                "application_name": "countersign",
            },
        },
        "DATABASE_OWNER_URL": settings.database_owner_url,
        "SESSION_COOKIE_NAME": "__Host-csn" if secure else "csn",
        "SESSION_COOKIE_SECURE": secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PERMANENT_SESSION_LIFETIME": settings.session_hours * 3600,
        "MAX_CONTENT_LENGTH": 8 * 1024 * 1024,
        "MAX_FORM_MEMORY_SIZE": 4 * 1024 * 1024,
        "WTF_CSRF_CHECK_DEFAULT": False,
        "WTF_CSRF_TIME_LIMIT": None,
        "WTF_CSRF_HEADERS": ["X-CSRF-Token"],
        "API_TITLE": "Countersign API",
        "API_VERSION": "v1",
        "OPENAPI_VERSION": "3.1.0",
        "OPENAPI_URL_PREFIX": "/api/v1",
        "OPENAPI_JSON_PATH": "openapi.json",
        "BABEL_DEFAULT_LOCALE": "en",
    }


def _register_errors(app: Flask) -> None:
    def answer(error: Exception) -> Any:
        if request.path.startswith("/api/") or blueprints.error_page is None:
            return problem.answer(error)
        return blueprints.error_page(error)

    app.register_error_handler(HTTPException, answer)
    app.register_error_handler(Exception, answer)


def _register_api(app: Flask) -> None:
    api = problem.ProblemApi(app)
    for blueprint in blueprints.API:
        api.register_blueprint(blueprint, url_prefix="/api/v1")
    openapi.describe(api, app, examples=EXAMPLES)


def check_database_role(app: Flask) -> None:
    """Refuse to run as a role that row-level security does not bind. Raises PowerfulRole."""
    with app.app_context(), db.engine.connect() as connection:
        refuse_powerful_role(connection)
