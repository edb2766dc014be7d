"""Backups: whole copies of the server and, between them, its log to the minute; sealed before they leave the machine.

Nothing has to be set in the server: `pg_basebackup` and `pg_receivewal` come as its clients, as root under the server's own
account. A replication slot keeps what was not fetched yet. Each file is compressed and sealed with a key derived from the
master key (see `kernel.sealed`): names stand in the clear in the database, so no byte of it lies in the clear elsewhere, and
the master key is never in a backup.

    FOLDER/base/20220828T010000Z.base   a copy of the whole server, with the log that makes it consistent
    FOLDER/base/20220828T010000Z.json   what it is: times, position in the log, key, size, hash; no personal data
    FOLDER/wal/000000010000000000000007.wal           a finished segment of the log
    FOLDER/wal/000000010000000000000008.partial.wal   the one being written, as of the last minute
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import psycopg

from bihuan.kernel import clock, sealed
from bihuan.kernel.crypto import Keys
from bihuan.kernel.refused import Refused
from bihuan.site import postgres
from bihuan.site.address import address, is_embedded
from bihuan.site.home import home

SLOT = "bihuan_backup"
# What the slot may keep back while nobody fetches: after that a new whole copy is needed, but the disk is not full.
SLOT_KEEPS_MAX = "8GB"
_SEGMENT = re.compile(r"[0-9A-F]{24}")


@dataclasses.dataclass(frozen=True)
class Base:
    """A whole copy, as its JSON says. Times are real ones, UTC. `segment`: the first of the log that it needs."""

    name: str
    began_at: datetime
    ended_at: datetime
    server: str
    segment: str
    key_id: str
    size: int
    sha256: str
    seconds: float

    def as_json(self) -> dict:
        return dataclasses.asdict(self) | {"began_at": self.began_at.isoformat(), "ended_at": self.ended_at.isoformat()}


@dataclasses.dataclass(frozen=True)
class Fetched:
    """What a fetch brought: finished segments, the position reached, and when that was (real time)."""

    n_segments: int
    lsn: str
    at: datetime


def folder(named: str | Path | None) -> Path:
    """The folder of backups, BIHUAN_BACKUP when none is named. Refuses none at all, and one that is not there."""
    place = named or os.environ.get("BIHUAN_BACKUP")
    if not place:
        raise Refused(
            "backup_nowhere", "请用 --to 或 BIHUAN_BACKUP 指定备份放在哪里。", "Say where backups go: --to FOLDER, or BIHUAN_BACKUP."
        )
    path = Path(place).expanduser().resolve()
    if not path.is_dir():
        raise Refused("backup_place_missing", f"没有 {path} 这个文件夹：没有挂上？", f"There is no folder {path}: is it not mounted?")
    for part in ("base", "wal"):
        (path / part).mkdir(mode=0o700, exist_ok=True)
    return path


def master_key_file() -> Path:
    return Path(os.environ.get("BIHUAN_MASTER_KEY") or home() / "keys" / "master.key")


def key(make: bool = False) -> bytes:
    """The key of backups. `make`: a new installation gets its master key here, if nothing needed it before. Otherwise
    refuses (`master_key_missing`) when it is not there: a new one would open nothing.
    """
    if not make and not master_key_file().exists():
        raise Refused(
            "master_key_missing",
            f"没有主密钥 {master_key_file()}：备份要用它封存和打开。",
            f"There is no master key {master_key_file()}: backups are sealed and opened with it.",
        )
    return Keys.from_file(master_key_file()).derive("backup")


def key_id(of: bytes) -> str:
    return hashlib.sha256(b"bihuan backup" + of).hexdigest()[:16]


# --- the server's own programs -----------------------------------------------------------------------------------------


def _connection() -> tuple[str, dict[str, str]]:
    """How a client program reaches the server: a connection string without the password, and the password in its environment."""
    at = address()
    plain = dataclasses.replace(at, password=None).dsn(database="postgres")
    return plain, {"PGPASSWORD": at.password} if at.password else {}


def _client(name: str) -> str:
    """The program of an ordinary installation where DATABASE_URL says that there is one (it may need TLS), else the wheel's."""
    return (not is_embedded() and shutil.which(name)) or str(postgres.program(name))


@contextmanager
def _running(name: str, *arguments: str) -> Iterator[subprocess.Popen]:
    """A client program whose output is read; refused (`backup_failed`) with its own words when it fails."""
    dsn, password = _connection()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C", "TZ": "UTC"} | password
    user = postgres.system_user() if is_embedded() else None
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [_client(name), "-d", dsn, "--no-password", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment, cwd="/", user=user, group=user,
        )  # fmt: skip
        try:
            yield process
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()
        if code:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()[-1000:]
            raise Refused("backup_failed", f"{name} 没有成功：{said}", f"{name} failed: {said}")


@contextmanager
def _server() -> Iterator[psycopg.Connection]:
    try:
        db = psycopg.connect(address().dsn(database="postgres"), autocommit=True)
    except psycopg.OperationalError as error:
        raise Refused("server_unreachable", f"连不上数据库：{error}", f"The database cannot be reached: {error}") from None
    with db:
        yield db


def _ensure_slot(db: psycopg.Connection) -> None:
    """The slot is there and still holds what was not fetched. One that the server gave up is made anew: see `fetch`."""
    row = db.execute("SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s", [SLOT]).fetchone()
    if row is not None and row[0] == "lost":
        db.execute("SELECT pg_drop_replication_slot(%s)", [SLOT])
        row = None
    if row is None:
        db.execute("SELECT pg_create_physical_replication_slot(%s, true)", [SLOT])
        if is_embedded():
            db.execute(f"ALTER SYSTEM SET max_slot_wal_keep_size = '{SLOT_KEEPS_MAX}'")
            db.execute("SELECT pg_reload_conf()")


# --- making ------------------------------------------------------------------------------------------------------------


def _write(path: Path, plain: BinaryIO, with_key: bytes) -> tuple[int, str]:
    """Seal into a file, whole or not at all, on the disk when this returns: size and hash of the sealed file."""
    making = path.with_name(f".{path.name}-making")
    with making.open("wb") as file:
        sealed.write(plain, file, with_key)
        file.flush()
        os.fsync(file.fileno())
    with making.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    making.rename(path)
    _sync(path.parent)
    return path.stat().st_size, digest


def _sync(of: Path) -> None:
    handle = os.open(of, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make(to: Path) -> Base:
    """A whole copy of the running server. Pages and worker go on meanwhile. Its log is fetched from here on by `fetch`."""
    with_key = key(make=True)
    began_at, started = clock.real_now(), time.monotonic()
    name = began_at.strftime("%Y%m%dT%H%M%SZ")
    with _server() as db:
        _ensure_slot(db)
        server = str(db.execute("SELECT system_identifier FROM pg_control_system()").fetchone()[0])
        # Where the copy will begin is known only later; it needs nothing before the present checkpoint's segment.
        segment = (
            db.execute("SELECT lpad(to_hex(timeline_id), 8, '0') || substr(pg_walfile_name(redo_lsn), 9) FROM pg_control_checkpoint()")
            .fetchone()[0]
            .upper()
        )
    path = to / "base" / f"{name}.base"
    try:
        with _running("pg_basebackup", "-D", "-", "-Ft", "-X", "fetch", "--checkpoint=fast", "--no-manifest", "--label", name) as program:
            size, digest = _write(path, program.stdout, with_key)
    except BaseException:
        path.unlink(missing_ok=True)
        path.with_name(f".{path.name}-making").unlink(missing_ok=True)
        raise
    base = Base(
        name=name, began_at=began_at, ended_at=clock.real_now(), server=server, segment=segment, key_id=key_id(with_key), size=size,
        sha256=digest, seconds=round(time.monotonic() - started, 1),
    )  # fmt: skip
    said = path.with_suffix(".json")
    with said.with_name(f".{said.name}-making").open("w") as file:
        json.dump(base.as_json(), file)
        file.flush()
        os.fsync(file.fileno())
    said.with_name(f".{said.name}-making").rename(said)
    _sync(said.parent)
    return base


def _spool() -> Path:
    """Where the log lies between the server and its sealing: on this machine, closed, the server's account's as root."""
    path = home() / "wal-spool"
    path.mkdir(mode=0o700, exist_ok=True)
    user = postgres.system_user() if is_embedded() else None
    if user:
        shutil.chown(path, user, user)
    return path


def fetch(to: Path) -> Fetched:
    """Bring the log over up to this moment: what was committed before is safe when this returns.

    Refuses (`backup_gap`) when the server no longer has what was not fetched: only a new whole copy closes that gap.
    """
    with_key, spool = key(make=True), _spool()
    with _server() as db:
        held = db.execute("SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s", [SLOT]).fetchone()
        _ensure_slot(db)
        if held is not None and held[0] == "lost":
            for left in spool.iterdir():
                left.unlink()
            raise Refused(
                "backup_gap",
                "太久没有取日志，数据库已不再保留。请立即做一次完整备份：backup make。",
                "The log was not fetched for too long and the server has let it go. Make a whole copy now: backup make.",
            )
        at = clock.real_now()
        # A restore to a moment stops at the first commit after it: so that up to `at` there is one, also in a quiet hour.
        db.execute("SELECT pg_logical_emit_message(true, 'bihuan', 'backup')")
        end = str(db.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0])
        # The program stops at the first byte after `end`: so that there is one, and it is on the disk.
        db.execute("SELECT pg_logical_emit_message(false, 'bihuan', 'backup', true)")
    with _running("pg_receivewal", "-D", str(spool), "-S", SLOT, "--endpos", end, "--no-loop") as program:
        program.stdout.read()
    n = 0
    for file in sorted(spool.iterdir()):
        whole = _SEGMENT.fullmatch(file.name) or file.suffix == ".history"
        if not whole and not (file.suffix == ".partial" and _SEGMENT.fullmatch(file.stem)):
            continue
        with file.open("rb") as plain:
            _write(to / "wal" / f"{file.name}.wal", plain, with_key)
        if whole:
            n += 1
            (to / "wal" / f"{file.name}.partial.wal").unlink(missing_ok=True)
            file.unlink()
    return Fetched(n, end, at)


# --- what is there -----------------------------------------------------------------------------------------------------


def listed(at: Path) -> list[Base]:
    """The whole copies, oldest first."""
    found = []
    for path in (at / "base").glob("*.json"):
        said = json.loads(path.read_text())
        times = {k: datetime.fromisoformat(said[k]) for k in ("began_at", "ended_at")}
        found.append(Base(**said | times))
    return sorted(found, key=lambda base: base.began_at)


def segments(at: Path) -> list[Path]:
    """Sealed files of the log, in order."""
    return sorted(p for p in (at / "wal").glob("*.wal") if not p.name.startswith("."))


def damaged(at: Path) -> list[str]:
    """Opens every file to its end: names of those that do not open, are cut off, or are not what was written."""
    with_key, bad = key(), []
    for base in listed(at):
        path = at / "base" / f"{base.name}.base"
        try:
            with path.open("rb") as file:
                same = hashlib.file_digest(file, "sha256").hexdigest() == base.sha256
        except OSError:
            same = False
        if not same or not _opens(path, with_key):
            bad.append(path.name)
    return bad + [path.name for path in segments(at) if not _opens(path, with_key)]


def _opens(path: Path, with_key: bytes) -> bool:
    try:
        with path.open("rb") as file:
            for _ in sealed.pieces(file, with_key):
                pass
    except (OSError, ValueError):
        return False
    return True


def prune(at: Path, days: int) -> list[str]:
    """Delete whole copies older than `days`, and the log that no remaining one needs; the newest copy always stays."""
    bases = listed(at)
    until = clock.real_now() - timedelta(days=days)
    old = [base for base in bases[:-1] if base.ended_at < until]
    for base in old:
        (at / "base" / f"{base.name}.json").unlink()  # first: half a deletion is no backup
        (at / "base" / f"{base.name}.base").unlink(missing_ok=True)
    gone = [base.name for base in old]
    kept = [base for base in bases if base not in old]
    if kept:
        for path in segments(at):
            name = path.name[:24]
            # The first eight letters are the timeline: a restore begins a new one, with positions that go on.
            if _SEGMENT.fullmatch(name) and name[8:] < min(base.segment[8:] for base in kept):
                path.unlink()
                gone.append(path.name)
    return gone
