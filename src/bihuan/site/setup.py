"""Sets up what is missing: roles, database, tables, privileges. Every command passes here before it starts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg

from bihuan.site import roles
from bihuan.site.home import FLOORS, SOURCE, say


def stamp() -> str:
    """What the database was set up from: all migrations, the roles, the privileges."""
    found = hashlib.sha256()
    files = [SOURCE / "site" / "grants.toml", SOURCE / "site" / "sql" / "roles.sql", SOURCE / "site" / "roles.py"]
    for floor in FLOORS:
        files += sorted((SOURCE / floor).glob("migrations/*.py")) + sorted((SOURCE / floor).glob("sql/*.sql"))
    for file in files:
        found.update(f"{file.relative_to(SOURCE)}\0".encode() + file.read_bytes())
    return found.hexdigest()


def is_current() -> bool:
    """Was the database set up from exactly these files?"""
    try:
        with psycopg.connect(roles.dsn("app")) as db:
            found = db.execute("SELECT obj_description('public'::regnamespace, 'pg_namespace')").fetchone()
    except psycopg.OperationalError:
        return False
    return found is not None and found[0] == stamp()


def django(role: str) -> None:
    """Start Django in this process as a role. Once per process; `acting` changes the role later."""
    import django as framework

    os.environ["BIHUAN_ROLE"] = role
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bihuan.site.settings")
    framework.setup()


def acting(role: str) -> AbstractContextManager[None]:
    """Within: Django's default connection logs in as "owner", "app" or "work"."""
    return acting_as(roles.LOGIN[role], roles.password(roles.LOGIN[role]))


@contextmanager
def acting_as(user: str, password: str | None = None) -> Iterator[None]:
    """As `acting`, for a user of the server by name (a drill's superuser)."""
    from django.db import connection

    def become(user: str, word: str | None) -> None:
        connection.close()
        if connection.settings_dict["OPTIONS"].get("pool"):
            connection.close_pool()
        connection.settings_dict.update(USER=user, PASSWORD=word)

    before = connection.settings_dict["USER"], connection.settings_dict["PASSWORD"]
    become(user, password)
    try:
        yield
    finally:
        become(*before)


def migrate(verbosity: int = 0) -> None:
    """As the owner: run the migrations, then set all privileges anew, then leave the stamp."""
    from django.core.management import call_command
    from django.db import connection

    with acting("owner"):
        call_command("migrate", interactive=False, verbosity=verbosity)
        connection.close()
    with psycopg.connect(roles.dsn("owner")) as db:
        roles.grant_tables(db)
        db.execute(psycopg.sql.SQL("COMMENT ON SCHEMA public IS {}").format(psycopg.sql.Literal(stamp())))


def prepare(role: str) -> None:
    """Server is running: roles, database and tables as these files want them; then Django as `role`."""
    if is_current():
        django(role)
        return
    say("闭环：准备数据库 ／ setting up the database")
    roles.ensure()
    django(role)
    migrate()
