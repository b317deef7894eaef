"""Statements that go straight to the driver: the few that every message or every call pays for.

The ORM and SQLAlchemy's compiler would take longer than the database. Nothing is parsed or planned anew: the text is
made once, prepared by the connection, and its answer comes in binary.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from sqlalchemy.orm import Session

_PARAMETER: Final = re.compile(r"(?<!:):([a-z_0-9]+)")
_COMMENT: Final = re.compile(r"--[^\n]*")


def spelled(text: str) -> str:
    """Return a statement with `:name` parameters in the driver's spelling, on one line: only short ones are cached."""
    return " ".join(_PARAMETER.sub(r"%(\1)s", _COMMENT.sub("", text)).split())


def rows(session: Session, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run a spelled statement in the session's transaction and return its rows."""
    driver: psycopg.Connection[Any] = session.connection().connection.driver_connection  # type: ignore[assignment]  # SQLAlchemy's is any driver's
    with driver.cursor(binary=True) as cursor:
        return cursor.execute(statement, values, prepare=True).fetchall()  # type: ignore[call-overload]  # the text is ours, though not literal
