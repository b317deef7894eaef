"""Signatures of Standard Webhooks, version 1: HMAC-SHA256 over id, time and body."""

import base64
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from saas.channels.adapters.webhook.types import HookSecret

PREFIX: Final = "whsec_"
_SIZE: Final = 32


def new_secret() -> str:
    """Return a fresh secret, as receivers' libraries take it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SIZE)).decode()


def signature(secret: str, *, message_id: str, at: datetime, body: bytes) -> str:
    """Return one signature of a message, as it stands in the header."""
    key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    signed = b"%b.%d.%b" % (message_id.encode(), int(at.timestamp()), body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def headers(found: Sequence[HookSecret], *, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers; a signature for each secret that is live at that moment, the present one first."""
    live = [each.text for each in found if each.until is None or each.until > at]
    signatures = (signature(text, message_id=message_id, at=at, body=body) for text in live)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
