"""A sink and an engine room for every sending test."""

import pytest

from saas.kernel.ids import parse
from saas.ledger.queries.numbers import numbers, runs_of
from tests.engine_room import engine_room
from tests.smtp_sink import SmtpSink
from tests.worlds import bound


class WatchedSink(SmtpSink):
    """A sink that tells when it kept a message, before it answers 250."""

    after = None

    def keep(self, mail_from, rcpt, data, *, answered):
        super().keep(mail_from, rcpt, data, answered=answered)
        if self.after is not None:
            self.after()


@pytest.fixture(scope="module", autouse=True)
def _alone(nobody_else):
    """No workspace but those of this module's tests."""


@pytest.fixture
def sink():
    with WatchedSink() as found:
        yield found


@pytest.fixture
def room(app, app_settings, sink, empty_agenda):
    with engine_room(app, app_settings, egress=(f"127.0.0.1:{sink.port}",)) as found:
        yield found


@pytest.fixture
def counts(world):
    def find(place, campaign_id):
        with bound(world.engine, place) as session:
            runs = runs_of(session, parse("cam", campaign_id))
            assert len(runs) == 1
            return numbers(session, [runs[0].run_id])[runs[0].run_id]

    return find
