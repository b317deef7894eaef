"""Statements that go straight to the driver: the few that every message or every call pays for.

The ORM and SQLAlchemy's compiler would take longer than the database. Nothing is parsed or planned anew: the text is
made once, prepared by the connection, and its answer comes in binary.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

_PARAMETER: Final = re.compile(r"(?<!:):([a-z_0-9]+)")


def spelled(text: str) -> str:
    """Return a statement with `:name` parameters in the driver's spelling, on one line: it keeps short ones parsed."""
    return " ".join(_PARAMETER.sub(r"%(\1)s", text).split())


def rows(session: Session, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run a spelled statement in the session's transaction and return its rows.

    Raises SQLAlchemy's errors, as all other statements do: who tries again, or answers 503, goes by them.
    """
    connection = session.connection()
    driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]  # SQLAlchemy's is any driver's
    try:
        with driver.cursor(binary=True) as cursor:
            return cursor.execute(statement, values, prepare=True).fetchall()
    except psycopg.Error as error:
        gone = driver.broken or driver.closed
        if gone:
            connection.invalidate(error)
        raise DBAPIError.instance(  # the values may be personal: they are left out
            statement, None, error, psycopg.Error, connection_invalidated=gone, dialect=connection.dialect
        ) from error
