"""Settings: one frozen value, read once from the environment.

Each variable is described in docs/configuration.md; a test compares.
"""

import base64
import binascii
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypeVar

MIN_LEAD_S: Final = 300
T = TypeVar("T")


class BadSetting(ValueError):
    """A variable is missing or has a value we cannot use; the message names it."""


def _text(value: str) -> str:
    return value


def _whole(value: str) -> int:
    number = int(value)
    if number < 0:
        msg = "must not be negative"
        raise ValueError(msg)
    return number


def _key(value: str) -> bytes:
    try:
        raw = base64.b64decode(value, validate=True)
    except binascii.Error:
        msg = "must be base64"
        raise ValueError(msg) from None
    if len(raw) != 32:
        msg = "must be 32 bytes in base64"
        raise ValueError(msg)
    return raw


def _names(value: str) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in value.split(",") if part.strip())


def _addresses(value: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_address(part.strip())) for part in value.split(",") if part.strip())
    except ValueError:
        msg = "must be IP addresses, separated by commas"
        raise ValueError(msg) from None


def _yes(value: str) -> bool:
    if value.lower() not in {"0", "1", "false", "true", "no", "yes"}:
        msg = "must be yes or no"
        raise ValueError(msg)
    return value.lower() in {"1", "true", "yes"}


def _url(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        msg = "must start with http:// or https://"
        raise ValueError(msg)
    return value.rstrip("/")


def _var(name: str, read: Callable[[str], T], default: object = None) -> Any:
    """Return a field read from the variable `name`; without a default it must be given."""
    return field(metadata={"name": name, "read": read, "default": default})


def _secret(name: str, read: Callable[[str], T], default: object = None) -> Any:
    """Return a field whose value must not stand in a traceback."""
    return field(metadata={"name": name, "read": read, "default": default}, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that may differ between installations."""

    database_url: str = _secret("DATABASE_URL", _text)
    database_owner_url: str = _secret("DATABASE_OWNER_URL", _text, "")
    database_admin_url: str = _secret("DATABASE_ADMIN_URL", _text, "")
    redis_url: str = _secret("REDIS_URL", _text)
    secret_key: bytes = _secret("SECRET_KEY", _key)
    master_key: bytes = _secret("MASTER_KEY", _key)
    public_url: str = _var("PUBLIC_URL", _url, "http://127.0.0.1:8000")
    trusted_proxies: int = _var("TRUSTED_PROXIES", _whole, 0)
    system_smtp_url: str = _secret("SYSTEM_SMTP_URL", _text, "")
    system_mail_from: str = _var("SYSTEM_MAIL_FROM", _text, "Countersign <no-reply@countersign.example>")
    egress_allow: tuple[str, ...] = _var("EGRESS_ALLOW", _names, ())
    source_addresses: tuple[str, ...] = _var("SOURCE_ADDRESSES", _addresses, ())
    publish_lead_s: int = _var("PUBLISH_LEAD_S", _whole, MIN_LEAD_S)
    session_hours: int = _var("SESSION_HOURS", _whole, 24 * 14)
    invitation_hours: int = _var("INVITATION_HOURS", _whole, 24 * 7)
    rate_limit_per_minute: int = _var("RATE_LIMIT_PER_MINUTE", _whole, 3000)
    sign_in_limit_per_minute: int = _var("SIGN_IN_LIMIT_PER_MINUTE", _whole, 30)
    password_cost: int = _var("PASSWORD_COST", _whole, 3)
    db_pool_size: int = _var("DB_POOL_SIZE", _whole, 8)
    imports_at_once: int = _var("IMPORTS_AT_ONCE", _whole, 1)
    import_max_bytes: int = _var("IMPORT_MAX_BYTES", _whole, 256 * 1024 * 1024)
    log_level: str = _var("LOG_LEVEL", _text, "INFO")
    log_json: bool = _var("LOG_JSON", _yes, default=False)
    home: Path = _var("CSN_HOME", Path, Path(".data"))
    seal_file: str = _var("SEAL_FILE", _text, "")
    metrics_token: str = _secret("METRICS_TOKEN", _text, "")
    embedded: bool = False

    @property
    def seal_path(self) -> Path:
        """Return where the environment seal's file is."""
        return Path(self.seal_file) if self.seal_file else self.home / "seal.json"

    @classmethod
    def from_env(cls, environ: Mapping[str, str], *, embedded: bool = False) -> "Settings":
        """Read all variables. `embedded` says that the servers are our own. Raises BadSetting naming the variable."""
        values: dict[str, Any] = {"embedded": embedded}
        for item in fields(cls):
            if item.metadata:
                values[item.name] = _read(environ, item.metadata)
        settings = cls(**values)
        if settings.publish_lead_s < MIN_LEAD_S and not embedded:
            msg = f"PUBLISH_LEAD_S: must be at least {MIN_LEAD_S} (less is accepted with embedded services only)"
            raise BadSetting(msg)
        return settings


def _read(environ: Mapping[str, str], metadata: Mapping[str, Any]) -> Any:
    name = metadata["name"]
    given = environ.get(name, "")
    if not given:
        if metadata["default"] is None:
            msg = f"{name}: not set"
            raise BadSetting(msg)
        return metadata["default"]
    try:
        return metadata["read"](given)
    except ValueError as error:
        msg = f"{name}: {error}"
        raise BadSetting(msg) from None


def variable_names() -> tuple[str, ...]:
    """Return the names of all variables, in the order in which they are described."""
    return tuple(item.metadata["name"] for item in fields(Settings) if item.metadata)
