"""Tables belong to a tenant, or say why not; relations load nothing unasked."""

import ast

import sqlalchemy as sa

from saas.app import schema
from saas.platform.db import Base
from tests.architecture.trees import SAAS, calls, modules, name


def test_every_table_is_a_tenants_or_global_with_a_reason():
    tables = {table.name for table in Base.metadata.sorted_tables}
    tenants = set(schema.tenant_tables())
    assert len(tables) > 20
    assert tables == tenants | set(schema.GLOBAL_TABLES)
    assert tenants & set(schema.GLOBAL_TABLES) == set()
    assert all(len(reason) > 10 for reason in schema.GLOBAL_TABLES.values())


def test_tenant_id_leads_every_key_and_index():
    for table_name in schema.tenant_tables():
        table = Base.metadata.tables[table_name]
        leading = [next(iter(table.primary_key.columns)).name]
        leading += [next(iter(index.expressions)) for index in table.indexes]
        leading += [
            next(iter(constraint.columns)).name
            for constraint in table.constraints
            if isinstance(constraint, sa.UniqueConstraint | sa.ForeignKeyConstraint)
        ]
        assert {getattr(column, "name", column) for column in leading} == {"tenant_id"}, table_name


def test_global_tables_refer_to_no_tenants_rows():
    tenants = set(schema.tenant_tables())
    for table_name in schema.GLOBAL_TABLES:
        targets = {key.column.table.name for key in Base.metadata.tables[table_name].foreign_keys}
        assert targets & tenants == set(), table_name


def test_relations_raise_instead_of_loading():
    bad = []
    for path in modules():
        for line, called, node in calls(path):
            if called.split(".")[-1] == "relationship":
                lazy = next((k.value for k in node.keywords if k.arg == "lazy"), None)
                if not (isinstance(lazy, ast.Constant) and lazy.value == "raise"):
                    bad.append((name(path), line))
    assert bad == []


def test_every_models_module_is_in_the_schema():
    """A table that app.schema does not import would be missing from migrations and from the wall's test."""
    on_disk = {name(p) for p in SAAS.rglob("models.py")} | {name(p) for p in SAAS.rglob("models/*.py")}
    imported = {module.__name__.replace(".", "/") + ".py" for module in schema.MODULES}
    assert {path for path in on_disk if not path.endswith("__init__.py")} == imported
