"""The worker: runs what the modules' `jobs.py` asks for, each at its interval, never the same job twice at once.

A module's `jobs.py` has `PERIODIC = [("loops.tick", 60, tick), …]`: a stable name, seconds between starts, a function
without arguments that commits its own work. A job that fails is logged and tried again at its next time; the others
go on. Intervals are real time; what a job does with it uses `kernel.clock`.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from types import FrameType

from bihuan.site.home import FLOORS

log = logging.getLogger("bihuan.worker")
NAP_SECONDS = 0.2


@dataclass
class Job:
    name: str
    every: float  # seconds
    run: Callable[[], object]
    next_at: float = field(default=0.0)  # monotonic


def jobs() -> list[Job]:
    """All jobs of all floors, from the bottom up."""
    found = []
    for floor in FLOORS:
        module = f"bihuan.{floor}.jobs"
        if find_spec(module):
            found += [Job(name, every, run) for name, every, run in import_module(module).PERIODIC]
    return found


def run_one(job: Job) -> bool:
    """Run a job unless another worker runs it now; False when it failed. Leaves a line in `job_run`."""
    from django.db import connection

    from bihuan.kernel import clock
    from bihuan.site.models import JobRun

    started = clock.real_now()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [job.name])
            if not cursor.fetchone()[0]:
                return True
        error = ""
        try:
            job.run()
        except Exception as failed:
            log.exception("job %s failed", job.name)
            error = f"{type(failed).__name__}: {failed}"[:500]
        JobRun.objects.update_or_create(name=job.name, defaults={"started_at": started, "finished_at": clock.real_now(), "error": error})
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [job.name])
    except Exception:  # the database is away: a new connection next time, and the lock is gone with the old one
        log.exception("job %s: the database did not answer", job.name)
        connection.close()
        return False
    return not error


def run_once() -> dict[str, bool]:
    """Every job once, now; by name whether it succeeded."""
    return {job.name: run_one(job) for job in jobs()}


def work() -> None:
    """Until SIGTERM; the job under way is finished first."""
    stopping = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    everything = jobs()
    while not stopping:
        for job in everything:
            if not stopping and time.monotonic() >= job.next_at:
                job.next_at = time.monotonic() + job.every
                run_one(job)
        time.sleep(NAP_SECONDS)


if __name__ == "__main__":
    from bihuan.site import setup
    from bihuan.site.process import die_with_parent

    die_with_parent()
    setup.django("work")
    work()
