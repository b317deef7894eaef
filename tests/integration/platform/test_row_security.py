"""Row-level security and the catalog (security.md B)."""

from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from saas.app import schema
from saas.kernel.clock import SystemClock
from saas.platform.db import Unbound, bind, tenant_session
from saas.tenants.models import Agency, Tenant, Workspace

pytestmark = pytest.mark.integration


def make_tenant(engine: sa.Engine, name: str) -> UUID:
    now, tenant, agency = SystemClock().now(), uuid4(), uuid4()
    with Session(engine) as session:
        session.add(Agency(agency_id=agency, name="Lantern Agency", created_at=now))
        session.flush()
        session.add(Tenant(tenant_id=tenant, agency_id=agency, created_at=now))
        session.flush()
        bind(session, tenant)
        session.add(
            Workspace(tenant_id=tenant, name=name, time_zone="Europe/Oslo", language="en", colour=1,
                      created_at=now, updated_at=now, version=1)
        )  # fmt: skip
        session.commit()
    return tenant


@pytest.fixture
def two(engine):
    return make_tenant(engine, "A"), make_tenant(engine, "B")


def test_catalog_every_table_is_walled(owner_engine):
    rows = owner_engine.connect().execute(sa.text(
        """
        SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner) AS owner,
          (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid AND p.polqual IS NOT NULL AND p.polwithcheck IS NOT NULL
             AND p.polcmd = '*') AS policies,
          EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnotnull) AS has_tenant,
          (SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
             WHERE i.indrelid = c.oid AND i.indisprimary) AS first_key
        FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
          AND c.relname <> 'alembic_version'
        """
    )).all()  # fmt: skip
    seen = set()
    for row in rows:
        assert row.owner == "csn_owner", row.relname
        if row.relname in schema.GLOBAL_TABLES:
            seen.add(row.relname)
            continue
        assert row.relrowsecurity and row.relforcerowsecurity and row.policies == 1, row.relname
        assert row.has_tenant and row.first_key == "tenant_id", row.relname
        if not row.relname.startswith("event_"):
            seen.add(row.relname)
    assert seen == set(schema.GLOBAL_TABLES) | set(schema.tenant_tables())


def test_catalog_indexes_and_foreign_keys_lead_with_the_tenant(owner_engine):
    with owner_engine.connect() as c:
        indexes = c.execute(sa.text(
            "SELECT t.relname AS table, x.relname AS index, a.attname FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid"
            " JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]"
            " WHERE t.relnamespace = 'public'::regnamespace"
        )).all()  # fmt: skip
        keys = c.execute(sa.text(
            "SELECT conrelid::regclass::text AS table, confrelid::regclass::text AS target, confdeltype, confkey,"
            " (SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1]) AS first"
            " FROM pg_constraint WHERE contype = 'f'"
        )).all()  # fmt: skip
    tenant = set(schema.tenant_tables())
    assert [r for r in indexes if r.table in tenant and r.attname != "tenant_id"] == []
    for key in keys:
        table = key.table.strip('"')
        assert key.confdeltype in ("c", "r"), key
        assert not (table in schema.GLOBAL_TABLES and key.target in tenant), key
        if table in tenant:
            assert key.first == "tenant_id", key


def test_application_role_is_bound_by_the_wall(engine):
    with engine.connect() as c:
        row = c.execute(sa.text(
            "SELECT rolsuper, rolbypassrls, rolinherit, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        )).one()  # fmt: skip
        owned = c.execute(sa.text("SELECT count(*) FROM pg_class WHERE relowner = current_user::regrole")).scalar()
        may_create = c.execute(sa.text("SELECT has_schema_privilege('public', 'CREATE')")).scalar()
        functions = c.execute(sa.text(
            "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        )).scalar()  # fmt: skip
    assert tuple(row) == (False,) * 5
    assert (owned, may_create, functions) == (0, False, 0)


@pytest.mark.parametrize("table", schema.tenant_tables())
def test_raw_sql_sees_its_own_tenant_only(engine, two, table):
    """No tenant, another tenant and garbage: an error or nothing (simulated bug of ours)."""
    a, b = two
    statement = sa.text(f'SELECT count(*) FROM "{table}"')
    with engine.connect() as c, pytest.raises(DBAPIError, match=r"app\.tenant_id|invalid input syntax"):
        c.execute(statement)
    with engine.connect() as c:
        c.exec_driver_sql("SET LOCAL app.tenant_id = 'garbage'")
        with pytest.raises(DBAPIError, match="invalid input syntax"):
            c.execute(statement)
    with tenant_session(engine, a) as s:
        foreign = s.execute(sa.text(f'SELECT count(*) FROM "{table}" WHERE tenant_id = :b'), {"b": b}).scalar()
        total = s.execute(statement).scalar()
        own = s.execute(sa.text(f'SELECT count(*) FROM "{table}" WHERE tenant_id = :a'), {"a": a}).scalar()
    assert foreign == 0 and total == own


def test_a_row_cannot_move_to_another_tenant(engine, two):
    a, b = two
    with tenant_session(engine, a) as s, pytest.raises(DBAPIError, match="row-level security"):
        s.execute(sa.text("UPDATE workspace SET tenant_id = :b"), {"b": b})
    with tenant_session(engine, a) as s, pytest.raises(DBAPIError, match="row-level security"):
        s.execute(sa.text("INSERT INTO project VALUES (:b, :b, 'x', now(), now(), 1)"), {"b": b})


def test_unbound_orm_is_refused_before_it_asks(engine):
    with Session(engine) as s, pytest.raises(Unbound):
        s.scalars(sa.select(Workspace)).all()


def test_a_session_serves_one_tenant_for_life(engine, two):
    a, b = two
    with tenant_session(engine, a) as s:
        assert [w.name for w in s.scalars(sa.select(Workspace))] == ["A"]
        s.commit()
        assert [w.name for w in s.scalars(sa.select(Workspace))] == ["A"]
        s.rollback()
        assert [w.name for w in s.scalars(sa.select(Workspace))] == ["A"]
        with pytest.raises(Unbound):
            bind(s, b)


def test_no_tenant_leaks_through_a_pool_of_one(app_settings, two):
    a, b = two
    pool = sa.create_engine(app_settings.database_url, pool_size=1, max_overflow=0)
    for i in range(100):
        tenant, name = ((a, "A"), (b, "B"))[i % 2]
        with tenant_session(pool, tenant) as s:
            assert [w.name for w in s.scalars(sa.select(Workspace))] == [name]
            if i % 3 == 0:
                s.rollback()
            elif i % 3 == 1:
                s.commit()
        with pool.connect() as c, pytest.raises(DBAPIError):
            c.execute(sa.text("SELECT * FROM workspace"))
    pool.dispose()


@pytest.mark.parametrize("table", ["delivery", "chunk", "run", "passage", "entry"])
def test_only_the_sweeper_may_delete_from_the_ledger(engine, two, table):
    with tenant_session(engine, two[0]) as s, pytest.raises(DBAPIError, match="permission denied"):
        s.execute(sa.text(f"DELETE FROM {table}"))
    with tenant_session(engine, two[0]) as s:
        s.execute(sa.text("SET LOCAL ROLE csn_sweep"))
        s.execute(sa.text(f"DELETE FROM {table}"))


@pytest.mark.parametrize("table", ["audit_entry", "approval"])
@pytest.mark.parametrize("verb", ["DELETE FROM {}", "UPDATE {} SET at = now()"])
def test_signatures_and_audit_cannot_be_changed(engine, two, table, verb):
    with tenant_session(engine, two[0]) as s, pytest.raises(DBAPIError, match="permission denied"):
        s.execute(sa.text(verb.format(table)))
