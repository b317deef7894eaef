"""What tests of the API share."""

import pytest

from saas.app.factory import create_app
from saas.kernel.clock import FixedClock, SystemClock
from saas.platform.db import db


@pytest.fixture(scope="session")
def _under_a_clock(app_settings):
    clock = FixedClock(SystemClock().now())
    app = create_app(app_settings, clock=clock)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    yield clock, app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def later(_under_a_clock):
    """The same installation under a clock that the test sets; it shows the present at first."""
    clock, app = _under_a_clock
    clock.at = SystemClock().now()
    return clock, app
