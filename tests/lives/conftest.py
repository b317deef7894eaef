"""What all lives of a process share."""

import logging
from dataclasses import replace

import psycopg
import pytest
import structlog

from saas.kernel.clock import SystemClock
from saas.platform.roles import psycopg_url
from tests.engine_room import engine_room
from tests.lives.flows.outside import Receiver
from tests.lives.ground import make_stage
from tests.lives.living import Installation
from tests.lives.nursery import Nursery
from tests.lives.provider import Provider
from tests.lives.speed import hurrying


@pytest.fixture(scope="module")
def installation(app, app_settings, engine, owner_engine, servers, database, tmp_path_factory):
    # What the engine has to say of thousands of deaths is not read by anybody.
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    home = tmp_path_factory.mktemp("senders")
    stage = make_stage(app, engine, owner_engine, SystemClock().now())
    provider, nursery, receiver = Provider(), Nursery(app_settings), Receiver()
    receiver.__enter__()
    try:
        with (
            hurrying(),
            psycopg.connect(psycopg_url(servers.admin_url), dbname=database, autocommit=True) as eye,
            engine_room(
                app, replace(app_settings, home=home / "living"), egress=(provider.address, receiver.address)
            ) as room,
        ):
            # Each connection draws entry ids from a range of its own; here their order is to be that of the calls.
            eye.execute("ALTER SEQUENCE entry_id_seq CACHE 1")
            engine.dispose()
            yield Installation(stage, room, nursery, provider, eye, home, receiver)
    finally:
        receiver.__exit__(None, None, None)
        nursery.close()
        provider.close()
        stage.renderer.close()
        structlog.configure(**before)
