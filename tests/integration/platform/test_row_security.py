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


def test_catalog_policies_say_one_thing(owner_engine):
    """Each tenant table, partitions too, has the one policy: for all commands, to everybody, no way around it."""
    with owner_engine.connect() as c:
        rows = c.execute(sa.text(
            "SELECT tablename, policyname, permissive, roles::text, cmd, qual, with_check FROM pg_policies WHERE schemaname = 'public'"
        )).all()  # fmt: skip
        partitions = c.scalars(
            sa.text("SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE relkind = 'r'")
        ).all()
    wanted = "(tenant_id = (current_setting('app.tenant_id'::text))::uuid)"
    for row in rows:
        assert tuple(row)[1:] == ("tenant_isolation", "PERMISSIVE", "{public}", "ALL", wanted, wanted), row.tablename
    assert {row.tablename for row in rows} == set(schema.tenant_tables()) | set(partitions)


def test_catalog_holds_nothing_that_sees_more(owner_engine):
    """No views, rules, triggers or functions of ours; nothing for PUBLIC; no rights but those of the four roles."""
    with owner_engine.connect() as c:

        def column(statement):
            return c.scalars(sa.text(statement)).all()

        here = "relnamespace = 'public'::regnamespace"
        assert column(f"SELECT relname FROM pg_class WHERE {here} AND relkind IN ('v', 'm', 'f')") == []
        assert column("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []
        assert column(f"SELECT rulename FROM pg_rewrite r JOIN pg_class t ON t.oid = r.ev_class WHERE t.{here}") == []
        assert column("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace") == []
        ours = "SELECT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE prosecdef AND nspname NOT IN ('pg_catalog', 'information_schema')"
        assert column(ours) == []
        assert column("SELECT extname FROM pg_extension") == ["plpgsql"]
        assert column("SELECT has_schema_privilege('public', 'public', 'CREATE')") == [False]
        assert column("SELECT has_database_privilege('public', current_database(), 'CREATE')") == [False]
        assert column("SELECT has_database_privilege('public', current_database(), 'CONNECT')") == [False]
        assert column("SELECT defaclrole::regrole FROM pg_default_acl") == []
        grants = c.execute(sa.text(
            "SELECT relname, grantee::regrole::text AS who, array_agg(privilege_type ORDER BY privilege_type) AS rights"
            f" FROM pg_class, aclexplode(relacl) WHERE {here} AND grantee <> relowner GROUP BY 1, 2"
        )).all()  # fmt: skip
    assert {row.who for row in grants} == {"csn_app", "csn_backup", "csn_sweep"}, "0 is PUBLIC"
    most = {
        "csn_app": {"DELETE", "INSERT", "SELECT", "UPDATE", "USAGE"},
        "csn_backup": {"SELECT"},
        "csn_sweep": {"DELETE", "SELECT"},
    }
    assert [row for row in grants if not set(row.rights) <= most[row.who]] == []


def test_catalog_roles_are_what_they_are_called(owner_engine):
    with owner_engine.connect() as c:
        rows = c.execute(sa.text(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication, rolcanlogin FROM pg_roles WHERE rolname LIKE 'csn\\_%' AND rolname <> 'csn_admin'"
        )).all()  # fmt: skip
        inside = c.execute(sa.text(
            "SELECT member::regrole::text AS who, roleid::regrole::text AS role FROM pg_auth_members"
            " WHERE member::regrole::text LIKE 'csn\\_%'"
        )).all()  # fmt: skip
    assert {row.rolname: tuple(row)[1:] for row in rows} == {
        "csn_app": (False, False, False, False, False, True),
        "csn_owner": (False, False, False, False, False, True),
        "csn_sweep": (False, False, False, False, False, False),
        "csn_backup": (False, True, False, False, False, False),
    }
    assert {tuple(row) for row in inside} == {("csn_app", "csn_sweep")}


@pytest.mark.parametrize("table", schema.tenant_tables())
def test_no_row_can_be_written_for_another_tenant(engine, world, table):
    """Simulated bugs: an INSERT, an UPDATE and a DELETE that name another tenant."""
    a, b = world.a.tenant_id, world.b.tenant_id
    refused = r"row-level security|permission denied"
    with tenant_session(engine, a) as s, pytest.raises(DBAPIError, match=refused):
        s.execute(sa.text(f'INSERT INTO "{table}" (tenant_id) VALUES (:b)'), {"b": b})
    with tenant_session(engine, a) as s:
        rows = s.scalar(sa.text(f'SELECT count(*) FROM "{table}"'))
        try:
            moved = s.execute(sa.text(f'UPDATE "{table}" SET tenant_id = :b'), {"b": b}).rowcount
        except DBAPIError as error:
            assert "row-level security" in str(error) or "permission denied" in str(error)  # noqa: PT017
        else:
            assert (moved, rows) == (0, 0)
    for verb in (
        f'UPDATE "{table}" SET tenant_id = tenant_id WHERE tenant_id = :b',
        f'DELETE FROM "{table}" WHERE tenant_id = :b',
    ):
        with tenant_session(engine, a) as s:
            try:
                assert s.execute(sa.text(verb), {"b": b}).rowcount == 0
            except DBAPIError as error:
                assert "permission denied" in str(error)  # noqa: PT017


def test_a_foreign_key_cannot_lead_to_another_tenants_row(engine, world):
    a, b = world.a, world.b
    words = "(tenant_id, list_id, project_id, name, description, created_at, updated_at, version)"
    make = sa.text(f"INSERT INTO contact_list {words} VALUES (:t, gen_random_uuid(), :p, :name, '', now(), now(), 1)")
    with tenant_session(engine, a.tenant_id) as s:
        s.execute(make, {"t": a.tenant_id, "p": a.project_id, "name": "Same name"})
        s.commit()
    with tenant_session(engine, a.tenant_id) as s, pytest.raises(DBAPIError, match="foreign key"):
        s.execute(make, {"t": a.tenant_id, "p": b.project_id, "name": "x"})
    with tenant_session(engine, b.tenant_id) as s:  # and a name that another tenant has is free here
        s.execute(make, {"t": b.tenant_id, "p": b.project_id, "name": "Same name"})


@pytest.mark.parametrize("table", schema.tenant_tables())
def test_raw_sql_sees_its_own_tenant_only(engine, two, table):
    """No tenant, another tenant and garbage: an error or nothing (simulated bug of ours)."""
    a, b = two
    statement = sa.text(f'SELECT count(*) FROM "{table}"')
    with engine.connect() as c, pytest.raises(DBAPIError, match=r"app\.tenant_id|invalid input syntax"):
        c.execute(statement)
    for nonsense in ("garbage", "", "NULL", str(b)[:-1], f"{a} OR true"):
        with engine.connect() as c:
            c.exec_driver_sql(f"SET LOCAL app.tenant_id = '{nonsense}'")
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
