"""Restoring: the newest whole copy before a moment, and the log from it up to that moment.

What lies where the data go is set aside under another name, never deleted. Afterwards the ledger begins a new epoch, so that
the numbers of lost seals are never given again, and whoever keeps the heads outside sees what was lost.
"""

from __future__ import annotations

import dataclasses
import shutil
import tarfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from bihuan.kernel import clock, sealed
from bihuan.kernel.refused import Refused
from bihuan.site import backup, postgres
from bihuan.site.address import address, data_folder

RECOVERY_SECONDS_MAX = 4 * 3600


@dataclasses.dataclass(frozen=True)
class Restored:
    """`set_aside`: where the former data lie now. `seconds`: from the first byte read until the database answers."""

    base: backup.Base
    data: Path
    set_aside: Path | None
    seconds: float


def _choose(at: Path, moment: datetime | None) -> backup.Base:
    """The newest whole copy that had ended before the moment. Refuses when there is none, and another master key's."""
    bases = [b for b in backup.listed(at) if moment is None or b.ended_at <= moment]
    if not bases:
        first = next((b.ended_at for b in backup.listed(at)), None)
        said = first.astimezone(clock.SHANGHAI).isoformat(timespec="seconds") if first else "—"
        raise Refused(
            "backup_none",
            f"{at} 里没有那时以前的完整备份；最早的完成于 {said}。",
            f"{at} has no whole copy from before; the first ended at {said}.",
        )
    base = bases[-1]
    if base.key_id != backup.key_id(backup.key()):
        raise Refused(
            "backup_of_another_key",
            f"备份是用另一把主密钥封存的：请把当时的 {backup.master_key_file().name} 放回 {backup.master_key_file()}。",
            f"The backup was sealed with another master key: put that one back at {backup.master_key_file()}.",
        )
    return base


def unpack(source: Path, data: Path, moment: datetime | None = None) -> backup.Base:
    """Lay out a data folder that recovers by itself when a PostgreSQL 18 is started on it. `data` must not exist.

    Refuses what does not open to its end (`backup_damaged`). The log lies beside it in `<data>-log` until recovery is over.
    """
    base, with_key = _choose(source, moment), backup.key()
    user = postgres.system_user()
    making, log = data.with_name(f".{data.name}-restoring"), _log_folder(data)
    postgres.let_in(data)
    for old in (making, log):
        shutil.rmtree(old, ignore_errors=True)
        old.mkdir(mode=0o700)
    try:
        with (source / "base" / f"{base.name}.base").open("rb") as file:
            plain = sealed.Reader(file, with_key)
            with tarfile.open(fileobj=plain, mode="r|") as tar:  # type: ignore[call-overload]  (it only reads)
                # All as it stands: it is our own server's copy. Python before 3.11.4 (Debian 12's) knows no `filter=` and does so unasked.
                tar.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
                tar.extractall(making)
            plain.read()  # to the end: what stands after the archive has to hold too
        for path in backup.segments(source):
            with path.open("rb") as file, (log / path.name.removesuffix(".wal").removesuffix(".partial")).open("wb") as out:
                for piece in sealed.pieces(file, with_key):
                    out.write(piece)
    except (ValueError, OSError, tarfile.TarError) as error:
        shutil.rmtree(making)
        shutil.rmtree(log)
        raise Refused("backup_damaged", f"备份损坏，打不开：{error}", f"The backup is damaged and does not open: {error}") from error
    settings = {"restore_command": f'cp "{log}/%f" "%p"', "recovery_target_timeline": "latest", "recovery_target_action": "promote"}
    if moment is not None:
        settings["recovery_target_time"] = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
    with (making / "postgresql.auto.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    (making / "recovery.signal").touch()
    for name in ("postmaster.pid", "keep-running", "log"):
        (making / name).unlink(missing_ok=True)
    making.chmod(0o700)
    if user:
        for folder in (making, log):
            for path in (folder, *folder.rglob("*")):
                shutil.chown(path, user, user)
    making.rename(data)
    return base


def _log_folder(data: Path) -> Path:
    return data.with_name(f"{data.name}-log")


def restore(source: Path, moment: datetime | None = None, say: Callable[[str], None] = lambda text: None) -> Restored:
    """The embedded server as it was at a moment (real time; None: as late as the backup knows). Starts it, and leaves it running.

    Refuses while the server runs (`server_runs`), and a moment that the log does not reach (`backup_too_short`); then the
    former data stand where they stood.
    """
    data, started = data_folder(), time.monotonic()
    if postgres.alive(data):
        raise Refused("server_runs", "请先停止数据库：bihuan db stop", "Stop the database first: bihuan db stop")
    _choose(source, moment)
    aside = None
    if data.exists():
        aside = data.with_name(f"{data.name}.before-{clock.real_now():%Y%m%dT%H%M%SZ}")
        data.rename(aside)
    try:
        base = unpack(source, data, moment)
        say(f"完整备份 {base.name} 已展开，正在重放日志 / unpacked, replaying the log")
        _recover(data)
    except BaseException:
        postgres.stop(data)
        shutil.rmtree(data, ignore_errors=True)
        if aside is not None:
            aside.rename(data)
        raise
    finally:
        shutil.rmtree(_log_folder(data), ignore_errors=True)
    return Restored(base, data, aside, round(time.monotonic() - started, 1))


def _recover(data: Path) -> None:
    try:
        postgres.start()
    except Refused as refused:
        if "before configured recovery target" in (data / "log").read_text(errors="replace"):
            raise Refused(
                "backup_too_short", "备份里的日志到不了那个时刻。", "The log in the backup does not reach that moment."
            ) from refused
        raise
    until = time.monotonic() + RECOVERY_SECONDS_MAX
    while True:
        try:
            with psycopg.connect(address().dsn(database="postgres"), autocommit=True) as db:
                if not db.execute("SELECT pg_is_in_recovery()").fetchone()[0]:
                    for name in ("restore_command", "recovery_target_time", "recovery_target_timeline", "recovery_target_action"):
                        db.execute(f"ALTER SYSTEM RESET {name}")
                    return
        except psycopg.OperationalError:
            if not postgres.alive(data):
                said = (data / "log").read_text(errors="replace")[-1500:]
                if "before configured recovery target" in said:
                    raise Refused(
                        "backup_too_short", "备份里的日志到不了那个时刻。", "The log in the backup does not reach that moment."
                    ) from None
                raise Refused("server_start", f"数据库没有启动：\n{said}", f"The database did not start:\n{said}") from None
        if time.monotonic() > until:
            raise Refused("server_start", "日志重放太久。", "Replaying the log takes too long.")
        time.sleep(0.2)
