"""Signatures of webhooks (Standard Webhooks), where they may lead, what answers mean."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.channels.adapters.webhook.adapter import outcome_of
from saas.channels.adapters.webhook.signing import PREFIX, headers, new_secret, signature
from saas.channels.adapters.webhook.target import spelled, target_of
from saas.channels.adapters.webhook.types import Answer, HookSecret
from saas.channels.types import OutcomeKind, OutcomeScope, Trouble
from saas.kernel.errors import Invalid

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}'
AT = datetime.fromtimestamp(1614265330, UTC)
MADE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_vector_that_receivers_libraries_are_tested_with():
    assert signature(SECRET, message_id=ID, at=AT, body=BODY) == MADE
    assert signature(SECRET, message_id=ID, at=AT + timedelta(microseconds=999_999), body=BODY) == MADE


@given(st.binary(min_size=24, max_size=64), st.binary(max_size=200), st.integers(0, 4_000_000_000))
def test_signatures_are_those_of_the_specification(key, body, stamp):
    made = signature(
        PREFIX + base64.b64encode(key).decode(), message_id="m", at=datetime.fromtimestamp(stamp, UTC), body=body
    )
    signed = hmac.new(key, b"m." + str(stamp).encode() + b"." + body, hashlib.sha256)
    assert made == "v1," + base64.b64encode(signed.digest()).decode()


def test_whatever_is_changed_changes_the_signature():
    for other in (
        signature(new_secret(), message_id=ID, at=AT, body=BODY),
        signature(SECRET, message_id=ID + "x", at=AT, body=BODY),
        signature(SECRET, message_id=ID, at=AT + timedelta(seconds=1), body=BODY),
        signature(SECRET, message_id=ID, at=AT, body=BODY + b" "),
    ):
        assert other != MADE and len(other) == len(MADE)


def test_all_live_secrets_sign_and_no_other():
    old, older = HookSecret(new_secret(), AT + timedelta(seconds=1)), HookSecret(new_secret(), AT)
    made = headers([HookSecret(SECRET), old, older], message_id=ID, at=AT, body=BODY)
    assert made == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": f"{MADE} {signature(old.text, message_id=ID, at=AT, body=BODY)}",
    }


def test_secrets_are_fresh_and_shown_to_nobody():
    one, two = new_secret(), new_secret()
    assert one != two and len(base64.b64decode(one.removeprefix(PREFIX))) == 32
    assert one not in repr(HookSecret(one))


@pytest.mark.parametrize(
    ("url", "is_spelled"),
    [
        ("https://hooks.northwind.example", "https://hooks.northwind.example/"),
        ("https://Hooks.Northwind.example:443/In?a=B%20c", "https://hooks.northwind.example/In?a=B%20c"),
        ("https://hooks.northwind.example:8443/in", "https://hooks.northwind.example:8443/in"),
        ("https://8.8.8.8/in", "https://8.8.8.8/in"),
        ("http://127.0.0.1:4000/in", "http://127.0.0.1:4000/in"),
        ("https://127.0.0.1:4000/in", "https://127.0.0.1:4000/in"),
        ("http://[::1]:4000/in", "http://[::1]:4000/in"),
    ],
)
def test_addresses_and_their_one_spelling(url, is_spelled):
    target = target_of(url, allow=("127.0.0.1:4000", "[::1]:4000"))
    assert spelled(target) == is_spelled
    assert spelled(target_of(is_spelled, allow=("127.0.0.1:4000", "[::1]:4000"))) == is_spelled


@pytest.mark.parametrize(
    "url",
    [
        "", "hooks.northwind.example", "ftp://hooks.northwind.example", "http://hooks.northwind.example/in",
        "https://", "https:///in", "http://hooks.northwind.example:443/in", "http://hooks.northwind.example:8443/in", "https://hooks.northwind.example:80/in", "https://hooks.northwind.example:22/in",
        "https://u:p@hooks.northwind.example/in", "https://u@hooks.northwind.example/in", "https://hooks.northwind.example/#x",
        "https://hooks.northwind.example/a b", "https://hooks.northwind.example/\r\nX: y", "https://hooks.northwind.example/ä",
        "https://localhost/in", "https://intranet/in", "https://db.internal/in", "https://127.0.0.1/in", "https://10.0.0.1/in",
        "https://169.254.169.254/latest/meta-data", "https://[::1]/in", "https://[::ffff:127.0.0.1]/in", "https://127.1/in",
        "https://0x7f.0.0.1/in", "https://hooks.northwind.example:x/in", "https://hooks.northwind.example:99999/in",
        "https://hooks.northwind.example\\@127.0.0.1/", "https://" + "a" * 2000 + ".example/", "http://127.0.0.1:4001/in",
    ],
)  # fmt: skip
def test_and_nowhere_else(url):
    with pytest.raises(Invalid) as refused:
        target_of(url, allow=("127.0.0.1:4000",))
    assert [fault.pointer for fault in refused.value.faults] == ["/url"]


PERSON, CHANNEL = OutcomeScope.RECIPIENT, OutcomeScope.CHANNEL
ACCEPTED, REFUSED, DEFERRED = OutcomeKind.ACCEPTED, OutcomeKind.REFUSED, OutcomeKind.DEFERRED


@pytest.mark.parametrize(
    ("statuses", "kind", "scope", "trouble"),
    [
        ((200, 201, 202, 204, 299), ACCEPTED, PERSON, None),
        ((301, 302, 307, 308, 304), REFUSED, CHANNEL, Trouble.POLICY),
        ((400, 404, 409, 413, 422, 451), REFUSED, PERSON, None),
        ((401, 403, 407), REFUSED, CHANNEL, Trouble.SIGN_IN),
        ((408, 425, 500, 502, 503, 504, 599), DEFERRED, PERSON, None),
        ((410,), REFUSED, CHANNEL, Trouble.POLICY),
        ((429,), DEFERRED, CHANNEL, Trouble.PRESSURE),
        ((999,), REFUSED, CHANNEL, Trouble.POLICY),
    ],
)
def test_what_answers_mean(statuses, kind, scope, trouble):
    for status in statuses:
        found = outcome_of(Answer(status, b"why\r\nnot", is_whole=True, retry_after_s=7.0))
        assert (found.kind, found.scope, found.trouble) == (kind, scope, trouble)
        assert found.text == f"{status} why  not"
        assert found.retry_after_s == (7.0 if kind is DEFERRED else None)
        assert found.hard is False
