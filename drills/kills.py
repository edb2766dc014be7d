"""断电和死机：网页、后台、数据库被强行杀死，已保存的一条不丢、不重 / killed with -9 at any moment: nothing lost, nothing doubled.

Desks answer calls and send lists through the pages, a process writes through the doors, the clock runs and asks for help;
meanwhile one of them, or the database with all its processes, is killed again and again, some of it during a checkpoint or a
vacuum, in the middle of a tick, in the middle of an import. Whoever got no answer sends the same again. Told as a set
test tells it: attempted, acknowledged, lost, recovered, unexpected, doubled. The next kill waits until something was saved
since the last: a dead house cannot be killed.

It shows nothing about power cuts: the kernel keeps what a dead process had written and not flushed.
"""

from __future__ import annotations

import functools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from drills import house
from drills.harness import Drill, Promises, spread

OPTIONS = {
    "kills": (1000, "杀多少次 / how often something is killed"),
    "desks": (4, "同时办理的网页 / desks that answer calls at once"),
    "seed": (20220828, "随机种子 / seed of what is killed when"),
}
# Of a hundred kills. `busy`: the server during a checkpoint or a vacuum; `tick` and `import`: whoever does that, in the middle of it.
DECK = {"server": 34, "busy": 12, "backend": 22, "tick": 6, "import": 6, "web": 8, "worker": 6, "writer": 6}
PAUSE_SECONDS = 0.25  # at most, between the first promise after a kill and the next kill
LEADS, LIST_ROWS = 300, 40
LIST_PAUSE_SECONDS, JUMP_PAUSE_SECONDS, JUMP_MINUTES = 2.0, 4.0, 10
BACK_SECONDS, LATE_SECONDS = 30, 60  # what is promised
HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
IN_THE_MIDDLE = {"tick": "%DELETE FROM timer%", "import": "%staged_%"}  # the worker's statement of that moment
MIDDLE_SECONDS, WARM_SECONDS, STARVED_SECONDS = 6, 2, 10
UPKEEP = ("CHECKPOINT", "VACUUM (FREEZE, ANALYZE) fact, loop, movement", "VACUUM (ANALYZE) timer, tally, contact_tried")


def rows_of(no: int, n: int) -> bytes:
    """A list of people whom no other list has, each at a door of the demonstration's village."""
    line = "王{n:06d},,13{n:09d},上海市,2022-08-27 10:00,连云港市连云区板桥街道板桥社区居委会{n}号楼\n"
    return (HEAD + "".join(line.format(n=no * 1000 + k) for k in range(n))).encode()


class Scene:
    """All that runs: the processes, who writes, what was promised, and who waits for what to be back."""

    def __init__(self, drill: Drill, folder: Path) -> None:
        self.drill, self.folder = drill, folder
        self.dice = random.Random(drill.seed)
        self.calls, self.doors, self.lists = Promises(), Promises(), Promises()  # ids of facts; of facts; of lists' acts
        self.stop, self.errors = threading.Event(), []
        self.leads: list[str] = []
        self.unanswered: list[str] = []
        self.n_answers = self.n_lists = 0
        self.lock = threading.Lock()
        self.back: dict[str, list[float]] = {"database": [], "web": [], "writer": []}
        self.waits: dict[str, float] = {}  # what was killed and has promised nothing since -> when
        self.last: dict[str, float] = {}  # who saved when
        self.lateness: list[float] = []
        self.killed: Counter[str] = Counter()
        self.writer_leads = folder / "leads.txt"

    # What is promised, and by whom.

    def saved(self, by: str, ids: Promises, id: str) -> None:
        ids.promised(id)
        now = time.monotonic()
        with self.lock:
            self.last[by] = now
            for what in ("database", by):
                if what in self.waits:
                    self.back[what].append(now - self.waits.pop(what))

    def n_saved(self) -> int:
        return self.calls.acks + self.doors.acks

    def guarded(self, work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except Exception as error:  # told at the end: the drill has failed
                self.errors.append(f"{type(error).__name__}: {error}")
                self.stop.set()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def sign_in(self, port: int, seconds_max: float = 20) -> None:
        """A session for every desk, for who sends lists and for us: what one browser may open at once is bounded."""
        sessions = [house.session_of("console") for _ in range(self.drill.desks + 2)]
        self.browsers = [house.Browser(port, session, seconds_max) for session in sessions]
        self.own = threading.local()
        house.wait_for(lambda: self.browser.get("/healthz")[0] == 200, "the pages")

    @property
    def browser(self) -> house.Browser:
        """The browser of this thread."""
        if not hasattr(self.own, "browser"):
            with self.lock:
                self.own.browser = self.browsers.pop()
        return self.own.browser

    def until_saved(self, ids: Promises, id: str, send: Callable[[], bool]) -> None:
        """Send the same until the answer says that it is saved; the end of the drill does not stop it."""
        until = time.monotonic() + house.BACK_SECONDS_MAX
        while time.monotonic() < until:
            ids.trying(id)
            if send():
                self.saved("web", ids, id)
                return
            time.sleep(0.1)
        raise RuntimeError(f"{id} was never answered")

    def desk(self, dice: random.Random) -> None:
        """Calls through the page; some of them settle a lead."""
        from bihuan.kernel import ids

        while not self.stop.is_set():
            fact = str(ids.new_id())
            with self.lock:
                settles = bool(self.unanswered) and dice.random() < 0.2
                lead = self.unanswered.pop() if settles else dice.choice(self.leads)
                self.n_answers += settles
            said = {"outcome": "at_home", "arrived_on": "2022-08-27", "treatment": "no"} if settles else {"outcome": "not_reached"}
            self.until_saved(self.calls, fact, functools.partial(self.browser.saves, f"/leads/{lead}/act", {"fact_id": fact, **said}))

    def sender(self) -> None:
        """Lists through the page; the worker takes them in."""
        from bihuan.kernel import ids

        while not self.stop.wait(LIST_PAUSE_SECONDS):
            self.n_lists += 1
            act = str(ids.new_id())
            said = {"act": act, "source": "unit", "unclassified": "yes"}
            file = (f"{self.n_lists}.csv", rows_of(self.n_lists, LIST_ROWS))
            self.until_saved(self.lists, act, functools.partial(self.browser.saves, "/intake/upload", said, file))

    def listen(self, process: subprocess.Popen) -> None:
        """What the writing process says. Its pipe outlives it: what it said before it was killed is heard."""
        for line in process.stdout:
            word, _, id = line.strip().partition(" ")
            if word == "try":
                self.doors.trying(id)
            elif word == "done":
                self.saved("writer", self.doors, id)
            else:
                self.errors.append(line.strip())
        process.stdout.close()

    def keep_time(self) -> None:
        """Product time jumps on; how long is it until nothing is due that nobody was asked about?

        Counted from when somebody was there to do it: lateness after a restart, not how long the house lay dead.
        """
        while not self.stop.wait(JUMP_PAUSE_SECONDS):
            due, since = house.jump(JUMP_MINUTES), time.monotonic()
            if not house.one("SELECT EXISTS (SELECT 1 FROM timer WHERE bucket <= %s)", due):
                continue
            while not self.stop.is_set() and house.one("SELECT EXISTS (SELECT 1 FROM timer WHERE bucket <= %s)", due):
                time.sleep(0.25)
            self.lateness.append(time.monotonic() - max(since, self.worker.started, self.database_up))

    # The processes.

    def open(self) -> None:
        port = house.free_port()
        self.web = house.Program(self.folder, "bihuan.site.serve", role="app", BIHUAN_PORT=str(port), BIHUAN_POOL="1")
        self.worker = house.Program(self.folder, "bihuan.site.worker", role="work")
        self.database_up = time.monotonic()
        self.sign_in(port)
        self.writer = house.Program(self.folder, "drills.writer", str(self.writer_leads), role="app", heard=True)
        self.ears = self.guarded(functools.partial(self.listen, self.writer.process))
        seeds = [self.dice.random() for _ in range(self.drill.desks)]
        self.threads = [self.guarded(functools.partial(self.desk, random.Random(seed))) for seed in seeds]
        self.threads += [self.guarded(self.sender), self.guarded(self.keep_time)]

    def close(self) -> None:
        """Everybody finishes what was begun; then all is at rest."""
        self.stop.set()
        for thread in self.threads:
            thread.join(house.BACK_SECONDS_MAX)
        self.writer.kill()
        self.ears.join(house.BACK_SECONDS_MAX)
        if half := sorted(self.doors.attempted - self.doors.acknowledged):
            self.writer.start("finish", *half)
            self.listen(self.writer.process)
        house.wait_for(lambda: not house.one("SELECT count(*) FROM intake_file WHERE state NOT IN ('done', 'refused')"), "the lists")
        house.wait_for(lambda: not house.one("SELECT count(*) FROM timer WHERE bucket <= clock_timestamp() + "
                                             "(SELECT clock_offset FROM installation)"), "the clock")  # fmt: skip

    # Killing.

    def strike(self, what: str) -> bool:
        """Kill it; False when it was not there to be killed (no backend at work)."""
        now = time.monotonic()
        if what in ("web", "worker"):
            program = getattr(self, what)
            self.wait(what, now)
            program.kill()
            program.start()
        elif what == "writer":
            self.wait(what, now)
            self.writer.kill()
            self.ears.join(house.BACK_SECONDS_MAX)
            self.writer.start("live", *sorted(self.doors.attempted - self.doors.acknowledged))
            self.ears = self.guarded(functools.partial(self.listen, self.writer.process))
        elif what == "backend":
            if not house.kill_backend("state <> 'idle'"):
                return False
            self.wait("database", now)
            house.superuser().close()
            self.database_up = time.monotonic()
        else:
            if what == "busy":
                house.start_upkeep(self.dice.choice(UPKEEP))
                time.sleep(self.dice.uniform(0, 0.05))
            self.wait("database", time.monotonic())
            house.kill_server()
            self.database_up = time.monotonic()
        return True

    def in_the_middle(self, what: str) -> bool:
        """Wait until the worker is at a tick or an import; kill it, its backend or the server there. False when it never was."""
        if what == "tick":
            house.jump(JUMP_MINUTES)
        pid = house.caught(IN_THE_MIDDLE[what], MIDDLE_SECONDS)
        if pid is None:
            return False
        how = self.dice.choice(("worker", "backend", "server"))
        if how == "backend":
            self.wait("database", time.monotonic())
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            house.superuser().close()
            self.database_up = time.monotonic()
            return True
        return self.strike(how)

    def wait(self, what: str, since: float) -> None:
        """From now on `what` owes a sign of life; whoever was about to give one and is struck again begins anew."""
        with self.lock:
            if what == "database":
                self.waits |= dict.fromkeys(self.waits, since)
            if what in self.back:
                self.waits[what] = since

    def kill_all(self) -> None:
        """As often as was asked; the next one when something was saved since the last."""
        deck: list[str] = []
        n = 0
        while n < self.drill.kills and not self.errors:
            if not deck:
                share = min(1.0, self.drill.kills / 100)  # in a short drill each of them once at least
                deck = [name for name, count in DECK.items() for _ in range(max(1, round(count * share)))]
                self.dice.shuffle(deck)
            what = deck.pop()
            if what in self.waits or (what in ("web", "worker") and time.monotonic() - getattr(self, what).started < WARM_SECONDS):
                deck.insert(0, what)  # it is not even up again: later
                what = "server"
            before = self.n_saved()
            house.wait_for(lambda b=before: self.n_saved() > b or self.errors, "a write after a kill", nap=0.01)
            # Whoever is struck again before it stands shows only how long one can go on striking.
            if time.monotonic() - self.last.get("web", 0) > STARVED_SECONDS:
                house.wait_for(lambda t=self.last.get("web", 0): self.last.get("web", 0) > t or self.errors, "a write through the pages")
            time.sleep(self.dice.uniform(0, PAUSE_SECONDS))
            if self.errors:
                break
            done = self.in_the_middle(what) if what in ("tick", "import") else self.strike(what)
            if done:
                self.killed[what] += 1
                n += 1
                if n % 50 == 0:
                    self.drill.say(f"{n} kills, {self.n_saved():,} writes saved, {time.monotonic() - self.drill.began:.0f} s")


# --- what must hold afterwards --------------------------------------------------------------------------------------------


def run(drill: Drill) -> None:
    from bihuan.site.home import home

    with tempfile.TemporaryDirectory(dir=home()) as made:
        scene = Scene(drill, Path(made))
        take_in_leads(scene)
        house.let_the_clock_run()
        scene.open()
        try:
            scene.kill_all()
            took = time.monotonic() - drill.began
            drill.say("everybody finishes what was begun")
            scene.close()
            judge(drill, scene, took)
        finally:
            scene.stop.set()
            for program in (scene.web, scene.worker, scene.writer):
                program.kill()


def take_in_leads(scene: Scene) -> None:
    """The people whom everybody calls."""
    from bihuan.access import queries as access
    from bihuan.intake import actions
    from bihuan.kernel import ids
    from bihuan.kernel.refused import Refused
    from bihuan.site import demo

    post = access.post_of("console")
    stored = actions.store(
        by=post, event=demo.event(), kind="leads", source="community", name="0.csv", data=rows_of(0, LEADS), act=ids.new_id(), claim=True
    )
    if isinstance(stored, Refused):
        raise stored
    actions.process(stored.file, by=post)
    scene.leads = [str(lead) for (lead,) in house.ask("SELECT id FROM lead ORDER BY id")]
    assert len(scene.leads) == LEADS
    scene.unanswered = scene.leads[::2]
    scene.writer_leads.write_text("\n".join(scene.leads), "utf-8")


def judge(drill: Drill, scene: Scene, took: float) -> None:
    from bihuan.kernel import ids

    one, doors, calls = house.one, scene.doors, scene.calls
    tried = Promises()
    tried.attempted, tried.acknowledged = calls.attempted | doors.attempted, calls.acknowledged | doors.acknowledged
    found = {str(f) for (f,) in house.ask("SELECT id FROM fact WHERE kind IN ('leads.contact_tried', 'leads.lead_verified')")}
    told = tried.against(found)
    files = {str(a) for (a,) in house.ask("SELECT act FROM intake_file WHERE name <> '0.csv'")}
    lists = {str(ids.derived_id(ids.UUID(a), "file", 0)) for a in scene.lists.attempted}
    promised = {str(ids.derived_id(ids.UUID(a), "file", 0)) for a in scene.lists.acknowledged}
    n_people = LEADS + LIST_ROWS * len(files)
    doubled = {
        "facts": one("SELECT count(*) - count(DISTINCT id) FROM fact"),
        "details": one("SELECT count(*) FROM (SELECT fact FROM contact_tried UNION ALL SELECT fact FROM lead_verified"
                       " EXCEPT SELECT id FROM fact) x"),
        "movements": one("SELECT count(*) FROM (SELECT FROM movement GROUP BY loop, at_fact, what HAVING count(*) > 1) x"),
        "answers": one("SELECT count(*) FROM (SELECT FROM loop WHERE kind = 'leads.sample' GROUP BY subject, key HAVING count(*) > 1) x"),
        "people of lists": one("SELECT count(*) FROM lead_reported") - one("SELECT count(DISTINCT report_key) FROM lead_reported"),
        "conflicts": one("SELECT count(*) FROM conflict"),
    }  # fmt: skip
    fired = one("SELECT count(*) FROM fired")
    drill.figures |= {
        "kills": dict(sorted(scene.killed.items())) | {"all": sum(scene.killed.values())},
        "seconds a kill": round(took / max(1, sum(scene.killed.values())), 2),
        "facts": {
            "attempted": len(tried.attempted), "acknowledged": len(tried.acknowledged), "sent again": calls.n_retries + doors.n_retries,
            **{name: len(ids) for name, ids in told.items()},
        },
        "lists": {"attempted": len(lists), "acknowledged": len(promised), "lost": len(promised - files), "unexpected": len(files - lists)},
        "doubled": doubled,
        **{f"seconds until {name} saved again": spread(values) for name, values in scene.back.items()},
        "calls for help": {"fired": fired, "jumps of the clock with something due": len(scene.lateness)},
        "seconds late after a restart": spread(scene.lateness),
    }  # fmt: skip
    drill.must("the drill itself ran to its end", scene.errors)
    drill.must("nothing acknowledged is lost", sorted(told["lost"] | (promised - files)))
    drill.must("nothing is there that nobody sent", sorted(told["unexpected"] | (files - lists)))
    drill.must("everything begun was answered in the end", sorted(tried.attempted - tried.acknowledged))
    drill.must("nothing is doubled", [f"{name}: {n}" for name, n in doubled.items() if n])
    drill.must("each person of each list is known once", one("SELECT count(*) FROM lead_reported") == n_people)
    drill.must("each settled lead has its next duty", one("SELECT count(*) FROM loop WHERE kind = 'leads.sample'") == scene.n_answers)
    drill.must("nobody is asked twice for help with one rung", one("SELECT count(*) - count(DISTINCT (loop, level)) FROM fired") == 0)
    said = "SELECT coalesce(sum(n_loops), 0) FROM handled h JOIN fact f ON f.id = h.fact WHERE f.kind = 'loops.help_asked'"
    drill.must("the facts of the clock count what was asked", fired == one(said))
    drill.must(f"back within {BACK_SECONDS} s", [s for values in scene.back.values() for s in values if s > BACK_SECONDS])
    drill.must(f"help is asked within {LATE_SECONDS} s after a restart", [s for s in scene.lateness if s > LATE_SECONDS])
    done = subprocess.run([sys.executable, "-m", "bihuan", "verify", "--json"], env=scene.web.environment, capture_output=True, text=True)
    drill.must("the accounts balance (verify)", json.loads(done.stdout)["gaps"] if done.stdout else [done.stderr[-500:]])
