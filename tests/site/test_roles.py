"""The database itself refuses what no door has allowed."""

from __future__ import annotations

import tomllib

import psycopg
import pytest

from bihuan.site import roles
from bihuan.site.home import FLOORS

PLAN = tomllib.loads(roles.GRANTS.read_text())
WRITING = ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "REFERENCES", "MAINTAIN")


def _tables(connection: psycopg.Connection) -> list[str]:
    query = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    return [name for (name,) in connection.execute(query).fetchall()]


def _held(connection: psycopg.Connection, role: str, table: str) -> set[str]:
    """Privileges on the table or on any of its columns."""
    found = set()
    for privilege in WRITING:
        ask = "has_any_column_privilege" if privilege in ("INSERT", "UPDATE", "REFERENCES") else "has_table_privilege"
        if connection.execute(f"SELECT {ask}(%s, %s, %s)", [role, f'public."{table}"', privilege]).fetchone()[0]:
            found.add(privilege)
    return found


def _wanted(role: str, table: str) -> set[str]:
    return {p.partition("(")[0].strip().upper() for p in PLAN.get(table, {}).get(role, [])}


def test_privileges_are_exactly_those_of_the_list(db, as_role):
    with as_role("superuser") as connection:
        for table in _tables(connection):
            assert _held(connection, roles.APP, table) == _wanted("app", table), table
            assert _held(connection, roles.ENGINE, table) == _wanted("engine", table), table
            assert _held(connection, roles.WORK, table) == _wanted("work", table) | _wanted("engine", table), table


def test_the_list_names_only_tables_that_exist(db, as_role):
    if "boards" not in FLOORS:
        pytest.skip("the house is not complete: tables of absent floors may be named")
    with as_role("superuser") as connection:
        assert not set(PLAN) - {"hidden", "django_cache"} - set(_tables(connection))


def test_the_ledger_is_append_only_for_everyone_who_logs_in(db, as_role):
    with as_role("superuser") as connection:
        for table in {"fact", "conflict", "movement", "fired", "seal"} & set(_tables(connection)):
            for role in (roles.APP, roles.ENGINE, roles.WORK):
                assert not _held(connection, role, table) & {"UPDATE", "DELETE", "TRUNCATE", "TRIGGER"}, (role, table)


def test_the_application_is_no_superuser_and_borrows_nothing_of_the_engine(db, as_role):
    with as_role("superuser") as connection:
        query = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'bihuan%' AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)"
        assert connection.execute(query).fetchall() == []
        usage, switch = connection.execute(
            "SELECT pg_has_role('bihuan_app', 'bihuan_engine', 'USAGE'), pg_has_role('bihuan_app', 'bihuan_engine', 'SET')"
        ).fetchone()
    assert (usage, switch) == (False, True)


def test_nobody_but_the_owner_makes_tables(db, as_role):
    for role in ("app", "work"):
        with as_role(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE mine (id int)")
    with as_role("app") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SET ROLE bihuan_owner")


def test_the_engine_can_be_entered_and_left_within_a_transaction(db, as_role):
    with as_role("app") as connection:
        connection.execute("SET LOCAL ROLE bihuan_engine")
        assert connection.execute("SELECT current_user").fetchone() == ("bihuan_engine",)
        connection.execute("CREATE TEMP TABLE staged (id int) ON COMMIT DROP")
        connection.commit()
        assert connection.execute("SELECT current_user").fetchone() == ("bihuan_app",)


def test_a_forgotten_scope_is_an_error_also_after_one_was_set(db, as_role):
    with as_role("app") as connection:
        for _ in range(2):
            with pytest.raises(psycopg.errors.InvalidTextRepresentation, match="no scope was set"):
                connection.execute("SELECT current_setting('bihuan.lo')::bigint")
            connection.rollback()
            connection.execute("SET LOCAL bihuan.lo = 1")
            assert connection.execute("SELECT current_setting('bihuan.lo')::bigint").fetchone() == (1,)
            connection.commit()


def test_the_owner_cannot_be_reached_from_the_public(db, as_role):
    with as_role("superuser") as connection:
        (open_schema,) = connection.execute("SELECT has_schema_privilege('public', 'public', 'CREATE')").fetchone()
        (open_database,) = connection.execute("SELECT has_database_privilege('public', current_database(), 'CONNECT')").fetchone()
    assert (open_schema, open_database) == (False, False)
