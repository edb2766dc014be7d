"""`bihuan db upgrade`: a data folder of the wheel's older PostgreSQL becomes one of the present version.

The old folder is kept beside the new one until somebody deletes it by hand.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from bihuan.kernel.refused import Refused
from bihuan.site import postgres


def upgrade(data: Path) -> Path | None:
    """The kept old folder, or None when there was nothing to do. The server must be down; refused when it is not."""
    version = data / "PG_VERSION"
    old = version.read_text().strip() if version.exists() else postgres.MAJOR
    if old == postgres.MAJOR:
        return None
    if postgres.alive(data):
        raise Refused("server_runs", "请先停止数据库：bihuan db stop", "Stop the database first: bihuan db stop")
    if not postgres.program("postgres", old).exists():
        raise Refused(
            "server_version_unknown",
            f"没有 PostgreSQL {old} 的程序，无法升级 {data}。请用该版本导出后再导入。",
            f"There are no programs of PostgreSQL {old} to upgrade {data} with. Dump it with that version and restore it here.",
        )
    # Both clusters must agree about checksums; older versions made them off.
    control = postgres.run_program("pg_controldata", "-D", str(data), major=old).stdout
    summed = re.search(r"Data page checksum version:\s*0", control) is None
    making = postgres.initdb(data, False, "--data-checksums" if summed else "--no-data-checksums")
    here = Path(tempfile.mkdtemp(prefix="bihuan-"))  # private; its path is short enough for a socket
    shutil.chown(here, making.owner(), making.group())
    done = postgres.run_program(
        "pg_upgrade", "-b", str(postgres.program("postgres", old).parent), "-B", str(postgres.program("postgres").parent),
        "-d", str(data), "-D", str(making), "-U", postgres.SUPERUSER, "-s", str(here), cwd=here,
    )  # fmt: skip
    if done.returncode:
        raise Refused(
            "server_upgrade", f"升级失败，原数据未动：\n{done.stdout}", f"The upgrade failed, the old data are untouched:\n{done.stdout}"
        )
    kept = data.with_name(f"{data.name}.{old}")
    data.rename(kept)
    making.rename(data)
    shutil.rmtree(here)
    return kept
