"""What integration tests share."""

import pytest
import sqlalchemy as sa


@pytest.fixture(scope="module")
def nobody_else(owner_engine: sa.Engine) -> None:
    """Forget the workspaces of earlier tests: dispatcher and watchdog visit every one of them, each time."""
    with owner_engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE agency, account CASCADE")
