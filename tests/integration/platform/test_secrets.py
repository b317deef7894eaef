"""Sealed values open in their own place and nowhere else (security.md L)."""

from dataclasses import replace
from uuid import uuid4

import pytest
import sqlalchemy as sa

from saas.kernel.clock import SystemClock
from saas.platform.db import tenant_session
from saas.platform.secrets.service import Place, Unreadable, Vault

pytestmark = pytest.mark.integration
SECRET = "hunter2 åäö"
PLACE = Place("channel_configuration", uuid4(), "password_sealed")


@pytest.fixture
def vault():
    return Vault(b"k" * 32)


def seal(engine, vault, tenant, place=PLACE, secret=SECRET):
    with tenant_session(engine, tenant) as session:
        sealed = vault.seal(session, secret, place=place, now=SystemClock().now())
        session.commit()
    return sealed


def open_(engine, vault, tenant, sealed, place=PLACE):
    with tenant_session(engine, tenant) as session:
        return vault.open(session, sealed, place=place)


def test_what_was_sealed_opens(engine, world, vault):
    sealed = seal(engine, vault, world.a.tenant_id)
    assert open_(engine, vault, world.a.tenant_id, sealed) == SECRET
    assert SECRET.encode() not in sealed


@pytest.mark.parametrize("other", [
    replace(PLACE, table="tenant_key"), replace(PLACE, row=uuid4()), replace(PLACE, column="username"),
])  # fmt: skip
def test_copied_to_another_table_row_or_column_it_does_not_open(engine, world, vault, other):
    sealed = seal(engine, vault, world.a.tenant_id)
    with pytest.raises(Unreadable, match="another place"):
        open_(engine, vault, world.a.tenant_id, sealed, other)


def test_two_secrets_swapped_between_columns_of_a_row_do_not_open(engine, world, vault):
    places = [PLACE, replace(PLACE, column="token_sealed")]
    first, second = (seal(engine, vault, world.a.tenant_id, place) for place in places)
    for sealed, place in ((second, places[0]), (first, places[1])):
        with pytest.raises(Unreadable):
            open_(engine, vault, world.a.tenant_id, sealed, place)


def test_copied_to_another_tenant_it_does_not_open(engine, world, vault):
    sealed = seal(engine, vault, world.a.tenant_id)
    seal(engine, vault, world.b.tenant_id)
    with pytest.raises(Unreadable, match="unknown key"):
        open_(engine, vault, world.b.tenant_id, sealed)


def test_a_tenants_key_given_to_another_tenant_does_not_open(engine, owner_engine, world, vault):
    """Even who can write to the database: the key itself is bound to its tenant."""
    sealed = seal(engine, vault, world.a.tenant_id)
    with owner_engine.begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL app.tenant_id = '{world.a.tenant_id}'")
        row = connection.execute(sa.text("SELECT key_id, wrapped, created_at FROM tenant_key")).one()
    with owner_engine.begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL app.tenant_id = '{world.b.tenant_id}'")
        connection.execute(
            sa.text("INSERT INTO tenant_key (tenant_id, key_id, wrapped, created_at) VALUES (:t, :k, :w, :c)"),
            {"t": world.b.tenant_id, "k": row.key_id, "w": row.wrapped, "c": row.created_at},
        )
    with pytest.raises(Unreadable, match="MASTER_KEY"):
        open_(engine, vault, world.b.tenant_id, sealed)


def test_another_master_key_opens_nothing(engine, world, vault):
    sealed = seal(engine, vault, world.a.tenant_id)
    other = Vault(b"K" * 32)
    with pytest.raises(Unreadable, match="MASTER_KEY is not the one"):
        open_(engine, other, world.a.tenant_id, sealed)
    with pytest.raises(Unreadable, match="MASTER_KEY is not the one"):
        seal(engine, other, world.a.tenant_id)


def test_each_seal_has_a_fresh_nonce_under_the_same_key(engine, world, vault):
    sealed = [seal(engine, vault, world.a.tenant_id) for _ in range(20)]
    assert len({each[:17] for each in sealed}) == 1
    assert len({each[17:29] for each in sealed}) == 20
    assert len(set(sealed)) == 20


def test_tenants_have_keys_of_their_own(engine, world, vault):
    keys = {seal(engine, vault, place.tenant_id)[1:17] for place in (world.a, world.b)}
    assert len(keys) == 2


@pytest.mark.parametrize("at", [0, 5, 20, 30, -1])
def test_one_changed_byte_and_it_does_not_open(engine, world, vault, at):
    sealed = bytearray(seal(engine, vault, world.a.tenant_id))
    sealed[at] ^= 1
    with pytest.raises(Unreadable):
        open_(engine, vault, world.a.tenant_id, bytes(sealed))


@pytest.mark.parametrize("length", [29, 40])
def test_cut_short_it_does_not_open(engine, world, vault, length):
    with pytest.raises(Unreadable):
        open_(engine, vault, world.a.tenant_id, seal(engine, vault, world.a.tenant_id)[:length])


def test_keys_derived_from_the_master_key_differ_by_purpose(vault):
    found = {vault.link_key, vault.address_hash("ann@example.org"), vault.address_hash("bob@example.org"), b"k" * 32}
    assert len(found) == 4
    assert vault.address_hash("ann@example.org") == Vault(b"k" * 32).address_hash("ann@example.org")
    assert vault.address_hash("ann@example.org") != Vault(b"K" * 32).address_hash("ann@example.org")
