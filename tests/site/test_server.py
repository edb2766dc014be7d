"""The embedded server comes back after kills, and the last one to leave stops it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

from bihuan.kernel.refused import Refused
from bihuan.site import postgres
from bihuan.site.address import address, socket_folder
from bihuan.site.home import REPO
from bihuan.site.upgrade import upgrade

pytestmark = pytest.mark.skipif("DATABASE_URL" in os.environ, reason="an ordinary server is not ours to kill")


@pytest.fixture
def folder(monkeypatch):
    """A data folder of its own, with a path longer than a socket's may be."""
    top = Path(tempfile.mkdtemp(prefix="bihuan-test-"))
    long = top / ("x" * 80) / "pg"
    monkeypatch.setenv("BIHUAN_PGDATA", str(long))
    monkeypatch.setenv("BIHUAN_DATABASE", "postgres")
    yield long
    postgres.stop(long)
    shutil.rmtree(top)
    shutil.rmtree(socket_folder(long), ignore_errors=True)


def _ask() -> int:
    with psycopg.connect(address().dsn()) as db:
        return db.execute("SELECT count(*) FROM kept").fetchone()[0]


def test_the_server_comes_back_and_the_last_one_stops_it(folder):
    with postgres.Use():
        with psycopg.connect(address().dsn()) as db:
            db.execute("CREATE TABLE kept AS SELECT 1 AS id")
        assert postgres.alive()
        assert postgres.start() is False, "a second start attaches to what runs"

        pid = int((folder / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        postgres.start()
        assert _ask() == 1, "what was committed survives a killed server"

        with postgres.Use():
            pass
        assert postgres.alive(), "whoever leaves first leaves it to the others"
    assert not postgres.alive()

    # A starter that is killed leaves the server; the next to leave stops it.
    held = "from bihuan.site import postgres; postgres.Use().__enter__(); print('up', flush=True); import time; time.sleep(60)"
    environment = os.environ | {"PYTHONPATH": str(REPO / "src")}
    starter = subprocess.Popen([sys.executable, "-c", held], env=environment, stdout=subprocess.PIPE, text=True)
    assert starter.stdout.readline() == "up\n"
    starter.kill()
    starter.wait()
    starter.stdout.close()
    assert postgres.alive()
    with postgres.Use():
        assert _ask() == 1
    assert not postgres.alive()
    assert oct(folder.stat().st_mode & 0o777) == "0o700"


def test_the_lock_of_a_socket_that_came_with_a_copy_of_the_folder_stops_nobody(folder):
    """A restored folder has the lock of the server that was lost, and another process may have its number by now."""
    with postgres.Use():
        pass
    user = postgres.system_user()
    stranger = subprocess.Popen(["sleep", "60"], user=user)
    try:
        lock = socket_folder(folder) / ".s.PGSQL.5432.lock"
        lock.parent.mkdir(exist_ok=True)
        lock.write_text(f"{stranger.pid}\n{folder}\n0\n5432\n{lock.parent}\n")
        if user:
            shutil.chown(lock, user)
        with postgres.Use():
            assert postgres.alive()
    finally:
        stranger.kill()
        stranger.wait()


def test_an_older_folder_is_refused_and_upgraded(folder):
    making = postgres.initdb(folder)  # for its owner and the way to it; its content is replaced by the older version's
    for found in list(making.iterdir()):
        shutil.rmtree(found) if found.is_dir() else found.unlink()
    flags = ("-D", str(making), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
    done = postgres.run_program("initdb", *flags, major="16")
    assert done.returncode == 0, done.stdout
    making.rename(folder)

    with pytest.raises(Refused, match="server_version"):
        postgres.Use().__enter__()
    kept = upgrade(folder)
    assert (kept / "PG_VERSION").read_text().strip() == "16"
    with postgres.Use(), psycopg.connect(address().dsn()) as db:
        assert db.execute("SHOW server_version").fetchone()[0].startswith("18")
    assert upgrade(folder) is None
