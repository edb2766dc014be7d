"""Where the database is: DATABASE_URL, else the embedded server's folder. Starts nothing, needs no Django."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bihuan.site.home import home

SUPERUSER = "postgres"
SOCKET_PATH_BYTES_MAX = 100  # the system's limit is 104 to 108


@dataclass(frozen=True)
class Address:
    """Where the server is. `superuser` and `password` may make roles and databases."""

    host: str
    port: int
    database: str
    superuser: str
    password: str | None
    options: tuple[tuple[str, str], ...] = ()

    def dsn(self, user: str | None = None, password: str | None = None, database: str | None = None) -> str:
        """A connection string; without a user that of the superuser."""
        return make_conninfo(
            "",
            host=self.host,
            port=self.port,
            dbname=database or self.database,
            user=user or self.superuser,
            password=(password if user else self.password) or None,
            **dict(self.options),
        )


def is_embedded() -> bool:
    return not os.environ.get("DATABASE_URL")


def data_folder() -> Path:
    """BIHUAN_PGDATA (the tests' own), else `pg` in the installation's folder."""
    return Path(os.environ.get("BIHUAN_PGDATA") or home() / "pg").resolve()


def socket_folder(data: Path) -> Path:
    """The data folder itself, closed to others; a short private one where its path is too long for a socket."""
    if len(os.fsencode(data)) + len("/.s.PGSQL.5432") <= SOCKET_PATH_BYTES_MAX:
        return data
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"bihuan-{os.geteuid()}-{name}"


def address() -> Address:
    """Where the server is or will be. BIHUAN_DATABASE names another database on the same server."""
    name = os.environ.get("BIHUAN_DATABASE")
    if is_embedded():
        return Address(host=str(socket_folder(data_folder())), port=5432, database=name or "bihuan", superuser=SUPERUSER, password=None)
    parts = conninfo_to_dict(os.environ["DATABASE_URL"])
    known = {"host", "port", "dbname", "user", "password"}
    return Address(
        host=str(parts.get("host") or "localhost"),
        port=int(parts.get("port") or 5432),
        database=name or str(parts.get("dbname") or "bihuan"),
        superuser=str(parts.get("user") or SUPERUSER),
        password=str(parts["password"]) if parts.get("password") else None,
        options=tuple((k, str(v)) for k, v in parts.items() if k not in known),
    )
