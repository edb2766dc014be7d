"""The server of the benches: made for one run, tuned as the product's, gone with its folder at the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bihuan.site import postgres, roles, setup
from bihuan.site.address import data_folder
from bihuan.site.home import home


@contextmanager
def throw_away() -> Iterator[None]:
    """A server of this process alone, tuned as the product's and as careful with the disk; gone at the end with its folder.

    Never the demonstration's folder, nor an operator's server: DATABASE_URL is not used here.
    """
    base = home() / "bench-pg"
    _clear(base)
    os.environ.pop("DATABASE_URL", None)
    os.environ["BIHUAN_PGDATA"] = str(base / str(os.getpid()) / "pg")
    os.environ["BIHUAN_HOME"] = str(base / str(os.getpid()) / "home")
    os.environ["BIHUAN_DATABASE"] = "bench"
    try:
        with postgres.Use():
            roles.ensure()
            setup.django("work")
            setup.migrate()
            from bihuan.site import demo

            demo.seed()
            yield
            _leave()
    finally:
        postgres.stop(data_folder())
        shutil.rmtree(base / str(os.getpid()), ignore_errors=True)


def _leave() -> None:
    from django.db import connection

    connection.close()


def _clear(base: Path) -> None:
    """Servers and folders of benches that were killed."""
    for left in base.iterdir() if base.exists() else ():
        if left.name.isdigit() and not _alive(int(left.name)):
            postgres.stop(left / "pg")
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def superuser() -> psycopg.Connection:
    """For what only a server's owner may: CHECKPOINT, statistics, COPY past row-level security."""
    from django.db import connection

    return psycopg.connect(roles.dsn("superuser", connection.settings_dict["NAME"]), autocommit=True)


@contextmanager
def copy_of_city(name: str) -> Iterator[str]:
    """Another database with all that the present one holds, dropped at the end."""
    from django.db import connection

    present = connection.settings_dict["NAME"]
    connection.close()
    made = f"{present}_{name}"
    with psycopg.connect(roles.dsn("superuser", "postgres"), autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{made}" OWNER {roles.OWNER} TEMPLATE "{present}" STRATEGY FILE_COPY')
        server.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE "{made}" TO {roles.APP}, {roles.WORK}, {roles.ENGINE}')
        try:
            yield made
        finally:
            server.execute(f'DROP DATABASE "{made}" WITH (FORCE)')


@contextmanager
def pointed_at(database: str) -> Iterator[None]:
    """Within: Django's connection is to this database."""
    from django.db import connection

    from bihuan.policy import installation

    def point(name: str) -> None:
        connection.close()
        connection.settings_dict["NAME"] = name
        installation.forget()

    before = connection.settings_dict["NAME"]
    point(database)
    try:
        yield
    finally:
        point(before)
