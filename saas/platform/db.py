"""The database session and its binding to one tenant (architecture.md 5.3).

Row-level security is the wall; the guards here only make a forgotten binding loud and early. The tenant is set by the
literal `SET LOCAL app.tenant_id = '…'`, the one form that Citus forwards, at the start of every transaction.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event, orm
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

_TENANT: Final = "tenant"


class Unbound(RuntimeError):
    """A tenant's rows were asked for without a tenant, or with another one: a bug of ours, never of a user."""


class Base(DeclarativeBase):
    """Root of all tables."""

    registry = orm.registry(
        metadata=sa.MetaData(
            naming_convention={
                "ix": "ix_%(table_name)s_%(column_0_N_name)s",
                "uq": "uq_%(table_name)s_%(column_0_N_name)s",
                "ck": "ck_%(table_name)s_%(constraint_name)s",
                "fk": "fk_%(table_name)s_%(column_0_N_name)s",
                "pk": "pk_%(table_name)s",
            }
        ),
        type_annotation_map={
            datetime: sa.DateTime(timezone=True),
            UUID: sa.Uuid(),
            str: sa.Text(),
            bytes: sa.LargeBinary(),
            dict[str, Any]: JSONB(),
        },
    )


class TenantScoped:
    """A tenant's table: `tenant_id` leads its key, row-level security is forced on it."""

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-10)


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


def bind(session: Session, tenant_id: UUID) -> None:
    """Bind a session to a tenant for the rest of its life. Raises Unbound if it serves another one already."""
    bound = session.info.get(_TENANT)
    if bound is not None and bound != tenant_id:
        msg = "this session is bound to another tenant"
        raise Unbound(msg)
    session.info[_TENANT] = tenant_id
    if session.in_transaction():
        session.connection().exec_driver_sql(_literal(tenant_id))


def bound_tenant(session: Session) -> UUID:
    """Return the tenant a session is bound to. Raises Unbound."""
    tenant = session.info.get(_TENANT)
    if not isinstance(tenant, UUID):
        msg = "no tenant is bound"
        raise Unbound(msg)
    return tenant


@contextmanager
def tenant_session(engine: sa.Engine, tenant_id: UUID) -> Iterator[Session]:
    """Open a short session of its own for one tenant; whatever is not committed inside is rolled back."""
    with Session(engine, expire_on_commit=False) as session:
        bind(session, tenant_id)
        yield session


def _literal(tenant_id: UUID) -> str:
    # UUID(...) refuses whatever is not one, so nothing else can come to stand in the statement.
    return f"SET LOCAL app.tenant_id = '{UUID(str(tenant_id))}'"


@event.listens_for(Session, "after_begin")
def _set_tenant(session: Session, _transaction: orm.SessionTransaction, connection: sa.Connection) -> None:
    tenant = session.info.get(_TENANT)
    if isinstance(tenant, UUID):
        connection.exec_driver_sql(_literal(tenant))


@event.listens_for(Session, "do_orm_execute")
def _refuse_unbound(state: orm.ORMExecuteState) -> None:
    if isinstance(state.session.info.get(_TENANT), UUID):
        return
    for mapper in state.all_mappers:
        if issubclass(mapper.class_, TenantScoped):
            msg = f"{mapper.class_.__name__} asked for without a tenant"
            raise Unbound(msg)


@event.listens_for(Session, "before_flush")
def _refuse_foreign(session: Session, _context: object, _instances: object) -> None:
    tenant = session.info.get(_TENANT)
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, TenantScoped) and row.tenant_id != tenant:
            msg = f"{type(row).__name__} of another tenant in this session"
            raise Unbound(msg)


def refuse_powerful_role(connection: sa.Connection) -> None:
    """Refuse to run as a role that row-level security does not bind. Raises PowerfulRole."""
    row = connection.execute(
        sa.text(
            "SELECT current_user AS name, r.rolsuper OR r.rolbypassrls AS free, EXISTS ("
            " SELECT 1 FROM pg_class c WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p')) AS owns"
            " FROM pg_roles r WHERE r.rolname = current_user"
        )
    ).one()
    if row.free or row.owns:
        what = "is a superuser or may bypass row-level security" if row.free else "owns tables"
        msg = f"DATABASE_URL: the role {row.name} {what}; connect as the application role (saas db init makes csn_app)"
        raise PowerfulRole(msg)


class PowerfulRole(RuntimeError):
    """The database role could see every tenant; no process of ours runs as such a role."""
