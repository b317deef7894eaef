"""Alembic's entry: connects as csn_owner, compares with the whole schema."""

from alembic import context
from flask import current_app
from sqlalchemy import create_engine

from saas.app import schema
from saas.platform.db import Base

MODELS = schema.MODULES  # every table is known only once they are imported
target = Base.metadata


def include(_object: object, name: str | None, type_: str, _reflected: object, _compare_to: object) -> bool:
    """Leave the partitions of `event` out: they are made by months, not by models."""
    return not (type_ == "table" and name is not None and name.startswith("event_"))


def run() -> None:
    """Run all migrations in one transaction, giving up on a lock after two seconds rather than queueing readers."""
    engine = create_engine(current_app.config["DATABASE_OWNER_URL"])
    with engine.connect() as connection:
        connection.exec_driver_sql("SET lock_timeout = '2s'")
        connection.commit()
        context.configure(connection=connection, target_metadata=target, include_object=include, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
