"""Where the doctor draws its lines."""

from uuid import UUID

import pytest
from redis import Redis

from saas.cli.doctor import (
    Level,
    egress_finding,
    redis_finding,
    room_finding,
    seal_finding,
    setting_findings,
    skew_finding,
)
from saas.platform.seal.types import Identity, Mark, SealState
from saas.platform.settings import Settings
from tests.conftest import KEY


@pytest.mark.parametrize(("seconds", "level"), [(0, "ok"), (5, "ok"), (5.1, "bad"), (-5.1, "bad"), (3600, "bad")])
def test_clocks(seconds, level):
    assert skew_finding(seconds).level == level


@pytest.mark.parametrize(("room", "pool", "level"), [(50, 8, "ok"), (49, 8, "bad"), (197, 8, "ok")])
def test_room_for_connections(room, pool, level):
    assert room_finding(room, pool).level == level


@pytest.mark.parametrize(
    ("allowed", "level"),
    [
        ((), "ok"),
        (("127.0.0.1:8025",), "ok"),
        (("[::1]:25",), "ok"),
        (("relay.lantern.example",), "bad"),
        (("*",), "bad"),
    ],
)
def test_egress(allowed, level):
    assert egress_finding(allowed).level == level


HERE = Identity("7/1/2", 1)
MARK = Mark(UUID(int=1), HERE, 4)


@pytest.mark.parametrize(
    ("state", "file", "level"),
    [
        (None, None, "ok"),
        (SealState(sealed=False, reason=None, epoch=4, identity=HERE), MARK, "ok"),
        (SealState(sealed=False, reason=None, epoch=4, identity=HERE), None, "warn"),
        (
            SealState(sealed=False, reason=None, epoch=4, identity=HERE),
            Mark(UUID(int=1), Identity("8/1/2", 1), 4),
            "warn",
        ),
        (SealState(sealed=False, reason=None, epoch=4, identity=Identity("8/1/2", 1)), MARK, "bad"),
        (SealState(sealed=True, reason="it is a copy", epoch=4, identity=HERE), MARK, "bad"),
    ],
)
def test_seals(state, file, level):
    assert seal_finding(state, here=HERE, file=file).level == level


def test_redis_away():
    found = redis_finding(Redis(host="127.0.0.1", port=1, socket_connect_timeout=1))
    assert (found.level, found.subject) == (Level.BAD, "redis")


def test_plain_http_is_worth_a_word():
    environ = {"DATABASE_URL": "x", "REDIS_URL": "x", "SECRET_KEY": KEY, "MASTER_KEY": KEY}
    found = {finding.subject: finding.level for finding in setting_findings(Settings.from_env(environ))}
    assert found == {"settings": "ok", "public url": "warn", "system mail": "warn", "egress": "ok"}
