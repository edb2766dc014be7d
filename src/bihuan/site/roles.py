"""The four database roles, the database itself, and who may do what with which table.

`bihuan_owner` owns and migrates; `bihuan_engine` (no login) writes subjects, identities, facts and loops; `bihuan_app`
is what pages and commands log in as; `bihuan_work` is the clock, the seals and the jobs. Row-level security is in the
modules' migrations; here is only what needs a superuser, and the table-level privileges of `grants.toml`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from bihuan.kernel.refused import Refused
from bihuan.site.address import Address, address
from bihuan.site.home import derived_secret

OWNER, ENGINE, APP, WORK = "bihuan_owner", "bihuan_engine", "bihuan_app", "bihuan_work"
LOGIN = {"owner": OWNER, "app": APP, "work": WORK}
GRANTS = Path(__file__).with_name("grants.toml")
ROLES_SQL = Path(__file__).with_name("sql") / "roles.sql"
SERVER_VERSION_MIN = 180000  # virtual columns, RETURNING old and new
LOCK = 0x6269_6875_616E  # "bihuan"
PRIVILEGES = {"select", "insert", "update", "delete", "maintain"}


def password(role: str) -> str:
    """The password of one of our login roles; it matters only where the server asks for one (DATABASE_URL)."""
    return derived_secret(f"database role {role}")


def dsn(role: str, database: str | None = None) -> str:
    """A connection string for "owner", "app", "work" or "superuser"."""
    at = address()
    if role == "superuser":
        return at.dsn(database=database)
    return at.dsn(LOGIN[role], password(LOGIN[role]), database)


def ensure(database: str | None = None) -> None:
    """Make roles and database where they are missing.

    Needs a superuser, or a role with CREATEROLE, CREATEDB and `GRANT SET ON PARAMETER bihuan.lo, bihuan.hi, bihuan.unit`.
    """
    at = address()
    name = database or at.database
    try:
        with _connect_anywhere(at) as db:
            db.execute("SELECT pg_advisory_lock(%s)", [LOCK])  # until this connection closes: one process at a time
            db.execute(ROLES_SQL.read_text())
            for role in LOGIN.values():
                db.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password(role))))
            if not db.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                db.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(OWNER)))
        with psycopg.connect(at.dsn(database=name), autocommit=True) as db:
            for statement in (
                "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
                "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {owner}, {app}, {work}, {engine}",
                "ALTER SCHEMA public OWNER TO {owner}",
                "REVOKE ALL ON SCHEMA public FROM PUBLIC",
                "GRANT USAGE ON SCHEMA public TO {app}, {work}, {engine}",
            ):
                db.execute(sql.SQL(statement).format(database=sql.Identifier(name), **_ids()))
    except psycopg.errors.InsufficientPrivilege as error:
        raise Refused(
            "server_privilege",
            f"DATABASE_URL 的账户不能建立角色或数据库：{error}",
            f"The account of DATABASE_URL may not make roles or databases: {error}",
        ) from error


def _names() -> dict[str, str]:
    return {"owner": OWNER, "engine": ENGINE, "app": APP, "work": WORK}


@contextmanager
def _connect_anywhere(at: Address) -> Iterator[psycopg.Connection]:
    """A superuser's connection to a database that surely exists."""
    try:
        db = psycopg.connect(at.dsn(database="postgres"), autocommit=True)
    except psycopg.OperationalError:
        try:
            db = psycopg.connect(at.dsn(), autocommit=True)
        except psycopg.OperationalError as error:
            raise Refused("server_unreachable", f"连不上数据库：{error}", f"The database cannot be reached: {error}") from None
    with db:
        if db.info.server_version < SERVER_VERSION_MIN:
            found = db.info.server_version // 10000
            raise Refused("server_old", f"需要 PostgreSQL 18，服务器是 {found}。", f"PostgreSQL 18 is needed; the server is {found}.")
        yield db


def grant_tables(db: psycopg.Connection) -> None:
    """Set every table's and sequence's privileges anew, from `grants.toml`. Called as the owner after each migration.

    Everybody may read every table (rows are hidden by row-level security) except those of `hidden`; a table that the
    file does not name is written by the owner alone. A name that no table has is skipped: its module is not installed.
    """
    plan = tomllib.loads(GRANTS.read_text())
    hidden = plan.pop("hidden", {})
    tables = [t for (t,) in db.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')"
    ).fetchall()]  # fmt: skip
    statements = [
        sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {engine}, {app}, {work}"),
        sql.SQL("REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {engine}, {app}, {work}"),
        sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {engine}, {app}, {work}"),
        # Numbers are drawn by whoever may insert; drawing one without an insert harms nobody.
        sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {engine}, {app}, {work}"),
    ]
    for role, names in hidden.items():
        statements += [sql.SQL(f"REVOKE ALL ON {{}} FROM {{{role}}}").format(sql.Identifier(t), **_ids()) for t in names if t in tables]
    for table, holders in plan.items():
        if table not in tables:
            continue
        for role, privileges in holders.items():
            for privilege in privileges:
                verb, _, columns = privilege.partition("(")
                if role not in ("engine", "app", "work") or verb.strip() not in PRIVILEGES:
                    raise ValueError(f"{GRANTS.name}: [{table}] {role} = {privilege!r}")
                listed = [sql.Identifier(c.strip()) for c in columns.rstrip(") ").split(",") if c.strip()]
                what = sql.SQL(verb.strip().upper()) + (sql.SQL(" ({})").format(sql.SQL(", ").join(listed)) if listed else sql.SQL(""))
                statements.append(sql.SQL("GRANT {} ON {} TO {}").format(what, sql.Identifier(table), sql.Identifier(_names()[role])))
    # A partition read by itself would show rows past its parent's row-level security.
    parts = db.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relispartition AND relkind = 'r'"
    ).fetchall()
    statements += [sql.SQL("REVOKE ALL ON {table} FROM {engine}, {app}").format(table=sql.Identifier(t), **_ids()) for (t,) in parts]
    with db.transaction():
        for statement in statements:
            db.execute(statement.format(**_ids()) if isinstance(statement, sql.SQL) else statement)


def _ids() -> dict[str, sql.Identifier]:
    return {r: sql.Identifier(n) for r, n in _names().items()}
