"""存储写满：写不进去时说清楚，腾出空间自己恢复，已保存的一条不丢 / the disk is full: told so, back by itself, nothing lost.

The server's folder moves to a small file system in memory (this needs the right to mount one). Desks answer calls while it is
filled to the last byte, stays full for a while, and is emptied again: what could not be saved is refused with a code and sent
again until it is; a server that fell over its own log is started again, as the launcher does.
"""

from __future__ import annotations

import functools
import os
import random
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

from drills import house
from drills.harness import Drill, Promises, spread
from drills.kills import Scene, take_in_leads

OPTIONS = {
    "rounds": (50, "写满多少次 / how often it is full"),
    "megabytes": (600, "存储多大 / size of the file system"),
    "desks": (2, "同时办理的网页 / desks that answer calls at once"),
    "seed": (20220828, "随机种子 / seed"),
}
TOLD_SECONDS_MAX = 120  # until the first who writes meets the end of the disk; a slow machine needs that long
FULL_SECONDS = 3.0  # at most, that it stays full
BACK_SECONDS = 30


@contextmanager
def small_disk(folder: Path, megabytes: int):
    """A file system of that size, with the server's folder on it."""
    from django.db import connection

    from bihuan.site import postgres
    from bihuan.site.address import data_folder

    was = data_folder()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mount.returncode:
        raise RuntimeError(f"no file system of its own: {mount.stderr.strip()} (run it as root)")
    try:
        connection.close()
        postgres.stop(was)
        subprocess.run(["cp", "-a", str(was), str(folder / "pg")], check=True)
        os.environ["BIHUAN_PGDATA"] = str(folder / "pg")
        postgres.start()
        from bihuan.site.address import address

        connection.settings_dict["HOST"] = address().host
        yield
    finally:
        connection.close()
        postgres.stop(folder / "pg")
        os.environ["BIHUAN_PGDATA"] = str(was)
        subprocess.run(["umount", "-l", str(folder)], check=False)
        postgres.start()
        from bihuan.site.address import address

        connection.settings_dict["HOST"] = address().host


def fill(ballast: Path) -> None:
    """Every byte that is left."""
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        block = b"\0" * (1 << 20)
        while True:
            if file.write(block) < len(block):
                block = block[: len(block) // 2] or b"\0"


class Desks(Scene):
    """The desks of the drill of kills, told why they could not save."""

    def __init__(self, drill: Drill, folder: Path) -> None:
        super().__init__(drill, folder)
        self.refused: Counter[str] = Counter()

    def sends(self, path: str, fields: dict[str, str]) -> bool:
        try:
            status, where, text = self.browser.post(path, fields)
        except OSError:
            self.refused["no answer"] += 1
            return False
        if status < 400 and "/sign-in" not in where:
            return True
        code = next((c for c in ("storage_full", "database_busy", "database_away") if c in text), f"raw {status}")
        self.refused[code] += 1
        return False

    def desk(self, dice: random.Random) -> None:
        from bihuan.kernel import ids

        while not self.stop.is_set():
            fact, lead = str(ids.new_id()), dice.choice(self.leads)
            form = {"fact_id": fact, "outcome": "not_reached"}
            self.until_saved(self.calls, fact, functools.partial(self.sends, f"/leads/{lead}/act", form))


def run(drill: Drill) -> None:
    from bihuan.site import postgres
    from bihuan.site.home import home

    with tempfile.TemporaryDirectory(dir=home()) as made, tempfile.TemporaryDirectory(dir=home()) as disk:
        scene = Desks(drill, Path(made))
        take_in_leads(scene)
        with small_disk(Path(disk), drill.megabytes):
            port = house.free_port()
            scene.web = house.Program(Path(made), "bihuan.site.serve", role="app", BIHUAN_PORT=str(port), BIHUAN_POOL="1")
            try:
                scene.sign_in(port, seconds_max=30)
                desks = [scene.guarded(functools.partial(scene.desk, random.Random(scene.dice.random()))) for _ in range(drill.desks)]
                back, fell = [], 0
                ballast = Path(disk) / "ballast"
                for no in range(drill.rounds):
                    n = scene.n_saved()
                    house.wait_for(lambda n=n: scene.n_saved() > n or scene.errors, "a write")
                    fill(ballast)
                    # Its log has room in the segments that it keeps: so it is filled until somebody is refused.
                    told = sum(scene.refused.values())
                    until = time.monotonic() + TOLD_SECONDS_MAX
                    while time.monotonic() < until and sum(scene.refused.values()) == told:
                        fill(ballast)
                        time.sleep(0.05)
                    time.sleep(scene.dice.uniform(0, FULL_SECONDS))
                    ballast.unlink()
                    freed, n = time.monotonic(), scene.n_saved()
                    while scene.n_saved() == n and not scene.errors and time.monotonic() - freed < house.BACK_SECONDS_MAX:
                        if not postgres.alive():
                            fell += 1
                            postgres.start()
                        time.sleep(0.05)
                    back.append(time.monotonic() - freed)
                    drill.say(f"{no + 1} times full, {scene.n_saved():,} saved, refused {dict(scene.refused)}")
                scene.stop.set()
                for desk in desks:
                    desk.join(house.BACK_SECONDS_MAX)
                judge(drill, scene, scene.calls, back, fell)
            finally:
                scene.stop.set()
                scene.web.kill()


def judge(drill: Drill, scene: Desks, calls: Promises, back: list[float], fell: int) -> None:
    found = {str(f) for (f,) in house.ask("SELECT id FROM fact WHERE kind = 'leads.contact_tried'")}
    told = calls.against(found)
    drill.figures |= {
        "times full": len(back), "servers that fell": fell, "attempted": len(calls.attempted), "acknowledged": len(calls.acknowledged),
        "refused": dict(scene.refused), "seconds until saved again": spread(back), **{name: len(ids) for name, ids in told.items()},
    }  # fmt: skip
    drill.must("the drill itself ran to its end", scene.errors)
    drill.must("somebody was refused for want of room", bool(scene.refused))
    drill.must("every refusal has a code", [code for code in scene.refused if code.startswith("raw")])
    drill.must("nothing acknowledged is lost", sorted(told["lost"]))
    drill.must("nothing is there that nobody sent", sorted(told["unexpected"]))
    drill.must("everything begun was answered in the end", sorted(calls.attempted - calls.acknowledged))
    drill.must(f"back within {BACK_SECONDS} s after room was made", [s for s in back if s > BACK_SECONDS])
