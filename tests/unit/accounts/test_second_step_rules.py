"""Codes of the second step against the vectors of RFC 4226 and RFC 6238; recovery codes; devices; pauses (security E)."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from saas.accounts.rules import (
    FREE_TRIES,
    MAX_LOCK_S,
    RECOVERY_CODES,
    code_at,
    device_word,
    guard_key,
    is_recovery,
    is_totp,
    locked_until,
    matching_step,
    new_recovery_codes,
    new_secret,
    otpauth_uri,
    plain_code,
    recovery_hash,
    source_of,
    step_of,
)
from saas.accounts.types import Guarded

RFC_SECRET = b"12345678901234567890"
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # the same in base32
NOW = datetime(2026, 11, 22, 9, 0, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"),
     (2000000000, "69279037"), (20000000000, "65353130")],
)  # fmt: skip
def test_vectors_of_rfc_6238(seconds, code):
    assert code_at(RFC_SECRET, step_of(datetime.fromtimestamp(seconds, UTC)), digits=8) == code


def test_vectors_of_rfc_4226():
    wanted = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
    assert [code_at(RFC_SECRET, count) for count in range(10)] == wanted


@pytest.mark.parametrize(("away", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_step_to_either_side_is_taken(away, taken):
    step = step_of(NOW) + away
    found = matching_step(SECRET, code_at(RFC_SECRET, step), now=NOW, last_step=None)
    assert found == (step if taken else None)


def test_no_step_is_taken_twice_nor_an_earlier_one():
    here = step_of(NOW)
    for step in (here - 1, here):
        assert matching_step(SECRET, code_at(RFC_SECRET, step), now=NOW, last_step=here) is None
    assert matching_step(SECRET, code_at(RFC_SECRET, here + 1), now=NOW, last_step=here) == here + 1


def test_a_secret_is_long_and_fits_apps():
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(secret) for secret in secrets} == {32}
    parts = urlsplit(otpauth_uri(SECRET, email="bea+x@northwind.example"))
    assert (parts.scheme, parts.netloc, parts.path) == ("otpauth", "totp", "/Countersign:bea%2Bx%40northwind.example")
    assert parse_qs(parts.query) == {"secret": [SECRET], "issuer": ["Countersign"], "digits": ["6"], "period": ["30"]}


def test_recovery_codes_are_ten_and_bound_to_their_account():
    codes = new_recovery_codes()
    assert len(codes) == len(set(codes)) == RECOVERY_CODES == 10
    mine, other = uuid4(), uuid4()
    for code in codes:
        assert is_recovery(plain_code(code)) and not is_totp(plain_code(code))
        typed = code.upper().replace("-", " ")
        assert recovery_hash(mine, typed) == recovery_hash(mine, code) != recovery_hash(other, code)


@pytest.mark.parametrize(("typed", "totp"), [("123 456", True), ("12345", False), ("١٢٣٤٥٦", False), ("12345a", False)])
def test_what_looks_like_a_code_of_an_app(typed, totp):
    assert is_totp(plain_code(typed)) is totp


@pytest.mark.parametrize("guarded", Guarded)
def test_no_pause_is_longer_than_a_quarter_of_an_hour(guarded):
    pauses = [locked_until(count, NOW, guarded=guarded) for count in range(200)]
    assert pauses[: FREE_TRIES[guarded]] == [None] * FREE_TRIES[guarded]
    lengths = [(until - NOW).total_seconds() for until in pauses if until is not None]
    assert lengths == sorted(lengths)
    assert (lengths[0], lengths[-1]) == (30, MAX_LOCK_S)
    assert timedelta(seconds=MAX_LOCK_S) == timedelta(minutes=15)


def test_sources_are_networks_and_keys_hold_no_address():
    assert source_of("203.0.113.7") == "203.0.113.7"
    assert source_of("2001:db8:1:2:3::4") == source_of("2001:db8:1:2::5") != source_of("2001:db8:1:3::5")
    assert source_of("unknown") == ""
    key = guard_key(Guarded.SOURCE, email=" Bea@Northwind.example", origin="203.0.113.7")
    assert key == guard_key(Guarded.SOURCE, email="bea@northwind.example", origin="203.0.113.7")
    assert len(key) == 32 and b"bea" not in key
    assert len({guard_key(guarded, email="bea@northwind.example") for guarded in Guarded}) == len(Guarded)


@pytest.mark.parametrize(
    ("agent", "word"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Linux"),
        ("python-requests/2.32", "python-requests"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_a_session_runs_on(agent, word):
    assert device_word(agent) == word
