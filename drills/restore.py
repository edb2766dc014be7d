"""备份与恢复：数据盘没了，从备份恢复，账要平、链要完好、丢了什么要知道 / the disk is lost: restore, and everything holds.

A city takes in a list and works; a whole copy is made, the log is fetched as by `backup run`; then the server is killed with
-9 and its folder is deleted. Restored as late as possible, and once more to a moment in between.

RPO: from the last fetch to the loss, and what was recorded in between. RTO: from the first byte read until the database
answers, and until `verify` and `audit verify` have said that all is well.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from drills import tamper

if TYPE_CHECKING:
    from drills.harness import Drill

OPTIONS = {
    "rows": (2000, "名单的行数 / rows of the list"),
    "steps": (6, "备份之后又工作几步 / steps of work after the whole copy"),
    "records": (50, "每步的办理记录 / records of each step"),
}  # fmt: skip

_SCAN_KEEPS = 64  # bytes of the piece before, so that nothing is missed at the seam


def made_up(rows: int) -> tuple[bytes, list[bytes], list[bytes]]:
    """A list of made-up people: the file, their phones, their names."""
    lines, phones, names = ["姓名,手机号码,来源地,到达时间,现居住地址"], [], []
    for n in range(rows):
        phones.append(f"139{n + 10_000_000:08d}".encode())
        names.append(f"欧阳试{n:05d}".encode())
        lines.append(f"{names[-1].decode()},{phones[-1].decode()},上海市,2022-08-27,连云港市连云区板桥街道板桥社区{n}号")
    return "\n".join(lines).encode(), phones, names


def take_in(data: bytes) -> None:
    from bihuan.access import queries as access
    from bihuan.intake import actions
    from bihuan.kernel import ids
    from bihuan.site.demo import event

    post = access.post_of("console")
    stored = actions.store(by=post, event=event(), kind="leads", source="data", name="list.csv", data=data, act=ids.new_id(), claim=True)
    file = actions.process(stored.file, by=post)
    if file.state != "done":
        raise RuntimeError(f"the list was not taken: {file.refusal}")


def work(records: int) -> None:
    """A step of the city's day: some calls, a seal, the clock."""
    from bihuan.policy import installation

    tamper.fill(minutes=1, records=records, files=0)
    installation.advance(timedelta(minutes=1))


def figures(at: datetime | None = None) -> dict[str, Any]:
    """What `verify --at` says, and the ledger's size and end."""
    from django.db import connection

    from bihuan.ledger import seals
    from bihuan.loops.verify import verify

    if at is not None:
        said = verify(at).as_json()
        said["checked"].pop("seal_broken")  # all seals, also those after the cut-off
        return json.loads(json.dumps({k: said[k] for k in ("ok", "seal", "checked", "gaps", "balance")}, default=str))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), coalesce(max(received_at)::text, '') FROM fact")
        n, last = cursor.fetchone()
    return {"facts": n, "last heard": last, "head": str(seals.head())}


def lose_the_disk() -> None:
    """All processes of the server with -9, then its folder."""
    from django.db import connection

    from bihuan.site import postgres
    from bihuan.site.address import data_folder

    connection.close()
    data = data_folder()
    postmaster = int((data / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in [postmaster, *map(int, children)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while postgres.alive(data):
        time.sleep(0.05)
    shutil.rmtree(data)


def hits(pieces, words: list[bytes]) -> list[str]:
    """Which of the words stand in a stream."""
    found: set[bytes] = set()
    before = b""
    for piece in pieces:
        text = before + piece
        found |= {word for word in words if word in text}
        before = text[-_SCAN_KEEPS:]
    return sorted(word.decode() for word in found)


def scan(drill: Drill, place: Path, phones: list[bytes], names: list[bytes]) -> None:
    """No name, number or key in the backup; no number in what it opens to (names stand in the database in the clear)."""
    from bihuan.kernel import sealed
    from bihuan.site import backup

    master = backup.master_key_file().read_bytes()
    some = slice(None, None, max(1, len(phones) // 200))
    files = [p for p in place.rglob("*") if p.is_file()]
    drill.must("no name, number or key lies in the backup in the clear", [
        f"{path.name}: {word!r}" for path in files for word in hits([path.read_bytes()], [*phones[some], *names[some], master])
    ])  # fmt: skip
    base = backup.listed(place)[-1]
    with (place / "base" / f"{base.name}.base").open("rb") as file:
        clear = hits(sealed.pieces(file, backup.key()), [*phones[some], master])
    drill.must("no number and no key lies in the database's own files", clear)
    drill.must("the scan itself finds what is there", bool(hits([b"x" * 10, phones[0]], phones[:1])))
    drill.figures["megabytes of the backup"] = round(sum(p.stat().st_size for p in files) / 1e6, 1)


def restored(drill: Drill, place: Path, name: str, moment: datetime | None = None) -> dict[str, Any]:
    """Restore, then what the command does and says after it."""
    from bihuan.policy import installation
    from bihuan.site import restore
    from bihuan.site.cli import Run
    from bihuan.site.commands.backup import answer

    began = time.monotonic()
    done = restore.restore(place, moment, drill.say)
    installation.forget()
    drill.figures[f"RTO {name}: seconds until it answers"] = done.seconds
    said = answer(Run(True, "console"), done)
    drill.figures[f"RTO {name}: seconds until verified"] = round(time.monotonic() - began, 1)
    drill.must(f"{name}: verify and audit verify find nothing", [gap["en"] for gap in said["gaps"]])
    return said


def run(drill: Drill) -> None:
    from django.conf import settings

    from bihuan.kernel import clock
    from bihuan.kernel.refused import Refused
    from bihuan.ledger import heads, seals
    from bihuan.site import backup
    from bihuan.site.address import data_folder

    place = Path(settings.HOME) / "backups"
    place.mkdir()
    place = backup.folder(place)
    elsewhere = Path(settings.HOME) / "elsewhere.heads"
    data, phones, names = made_up(drill.rows)
    take_in(data)
    seals.seal_minute()
    base = backup.make(place)
    drill.figures["seconds of the whole copy"] = base.seconds
    fetches, between = [], None
    for step in range(drill.steps):
        work(drill.records)
        if step == drill.steps // 2:
            then = figures()
            cut = clock.now() - timedelta(seconds=30)  # the frozen clock stands a minute after the last seal
            figures_then = figures(cut)
            time.sleep(1.1)
            between = clock.real_now()
            time.sleep(1.1)
        began = time.monotonic()
        fetched = backup.fetch(place)
        fetches.append(time.monotonic() - began)
    safe = figures()
    heads.bring(elsewhere)
    work(drill.records)  # never fetched: this is what will be lost
    heads.bring(elsewhere)
    last = figures()
    lost_at = clock.real_now()
    scan(drill, place, phones, names)
    drill.must("every file of the backup opens", backup.damaged(place))
    lose_the_disk()

    drill.figures |= {
        "seconds of a fetch, median": round(sorted(fetches)[len(fetches) // 2], 2),
        "RPO: seconds since the last fetch": round((lost_at - fetched.at).total_seconds(), 1),
        "RPO: records lost": last["facts"] - safe["facts"],
    }
    said = restored(drill, place, "latest")
    now = figures()
    drill.must("what was fetched is there, nothing else is", [f"{now['facts']}, was {safe['facts']}"] * (now["facts"] != safe["facts"]))
    drill.must("a new epoch has begun", said["epoch"] == 2)
    same = figures(cut)
    drill.must("the same figures at the same cut-off", [f"{same} was {figures_then}"] * (same != figures_then))
    try:
        heads.bring(elsewhere)
        drill.must("who keeps the heads sees the lost tail", False)
    except Refused as refused:
        drill.figures["first lost, said by who keeps the heads"] = refused.where
        drill.must("who keeps the heads sees the lost tail", refused.code == "heads_lost")
    drill.figures["seals lost, said by who keeps the heads"] = heads.bring(elsewhere, restored=True).lost

    _stop()
    said = restored(drill, place, "to a moment", between)
    now = figures()
    drill.must("the moment in between: as it was", [f"{now} was {then}"] * (now["facts"] != then["facts"]))
    drill.must("the moment in between: the same figures", figures(cut) == figures_then)
    drill.must("what was there is set aside", said["set_aside"].is_dir() and said["set_aside"] != data_folder())
    with psycopg.connect(backup.address().dsn(database="postgres")) as db:
        drill.must("the log is kept no longer than asked", db.execute("SELECT count(*) FROM pg_replication_slots").fetchone()[0] == 0)


def _stop() -> None:
    from django.db import connection

    from bihuan.site import postgres

    connection.close()
    postgres.stop()
