"""What the people of a set have said, over the temporary tables `incoming` and `known` that people.py fills."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.rules.rows import Person
from saas.platform.db import bound_tenant

_EVERYBODY: Final = """
    (SELECT i.given, i.withdrawn, coalesce(d.contact_id, i.contact_id) AS contact_id
     FROM incoming i LEFT JOIN known d ON d.row_no = i.row_no) k
"""
_SAID: Final = """
    CROSS JOIN LATERAL (SELECT status, source FROM consent
      WHERE tenant_id = :tenant AND contact_id = d.contact_id AND topic = t.topic OFFSET 0) s
"""
_KEPT_WITHDRAWN: Final = sa.text(
    f"""
    SELECT k.row_no, t.topic, k.email FROM incoming k JOIN known d ON d.row_no = k.row_no
    CROSS JOIN unnest(k.given) AS t(topic) {_SAID}
    WHERE s.status = 'withdrawn' ORDER BY k.row_no, t.topic
    """
)
# Nothing here lifts an unsubscribe: what stands, stands.
_GIVE: Final = sa.text(
    f"""
    INSERT INTO consent (tenant_id, contact_id, topic, status, source, at)
    SELECT :tenant, k.contact_id, t.topic, 'given', :source, :now
    FROM {_EVERYBODY} CROSS JOIN unnest(k.given) AS t(topic)
    ORDER BY k.contact_id, t.topic ON CONFLICT DO NOTHING
    """
)
_WITHDRAW: Final = sa.text(
    f"""
    INSERT INTO consent AS s (tenant_id, contact_id, topic, status, source, at)
    SELECT :tenant, k.contact_id, t.topic, 'withdrawn', :source, :now
    FROM {_EVERYBODY} CROSS JOIN unnest(k.withdrawn) AS t(topic)
    ORDER BY k.contact_id, t.topic
    ON CONFLICT (tenant_id, contact_id, topic) DO UPDATE SET status = 'withdrawn', source = excluded.source,
      at = excluded.at WHERE s.status <> 'withdrawn'
    """
)
# Consent that an earlier import gave, and that this file no longer gives, is gone. What the person said stays.
_NO_LONGER: Final = sa.text(
    f"""
    SELECT t.topic, array_agg(d.contact_id ORDER BY d.contact_id) AS ids
    FROM incoming k JOIN known d ON d.row_no = k.row_no CROSS JOIN unnest(CAST(:topics AS text[])) AS t(topic) {_SAID}
    WHERE s.status = 'given' AND s.source = :source AND NOT t.topic = ANY (coalesce(k.given, '{{}}')) GROUP BY t.topic
    """
)
_TAKE_BACK: Final = sa.text(
    "DELETE FROM consent WHERE tenant_id = :tenant AND topic = :topic AND contact_id = ANY (:ids) AND status = 'given'"
)


def kept_withdrawn(session: Session) -> tuple[tuple[int, str, str], ...]:
    """Return row, topic and address of those brought people who unsubscribed and are said to consent."""
    rows = session.execute(_KEPT_WITHDRAWN, {"tenant": bound_tenant(session)})
    return tuple((row.row_no, row.topic, row.email) for row in rows)


def save_consents(
    session: Session, people: Sequence[Person], values: dict[str, Any]
) -> tuple[tuple[int, str, str], ...]:
    """Write down what people agreed to and what not. Return who agreed, but withdrew before: what stands, stands."""
    kept: tuple[tuple[int, str, str], ...] = ()
    if values["topics"]:
        for row in session.execute(_NO_LONGER, values).all():
            session.execute(_TAKE_BACK, {"tenant": values["tenant"], "topic": row.topic, "ids": row.ids})
    if any(person.given for person in people):
        kept = kept_withdrawn(session)
        session.execute(_GIVE, values)
    if any(person.withdrawn for person in people):
        session.execute(_WITHDRAW, values)
    return kept
