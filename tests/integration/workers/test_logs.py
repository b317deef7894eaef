"""What workers write to their logs (reliability.md 4.2, I13)."""

import pytest
import sqlalchemy as sa

from saas.platform.agenda.types import Queue
from tests.conftest import KEY
from tests.integration.workers.rig import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.e2e]


def test_an_error_in_a_sender_is_logged_without_secrets_and_addresses(world, runs, fleet, valkey, sink, app_settings):
    """A traceback that shows local variables shows the settings with every key and password, and who was to be sent to."""
    campaign_id, addresses = runs.begin(world.a, 3, username="club", password_sealed=b"\x01" * 80)
    senders = fleet.senders()
    valkey.ring(Queue.BULK)
    wait_until(lambda: senders.said("sending.broken"), what="the error is logged")
    wait_until(lambda: senders.said("Unreadable"), what="with its trace")
    password = sa.make_url(app_settings.database_url).password
    for secret in (KEY, app_settings.master_key.decode(), str(password), *addresses):
        assert senders.said(secret) == 0
    assert runs.numbers(world.a, campaign_id).open == 3
