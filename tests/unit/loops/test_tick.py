"""What the clock leaves behind."""

from __future__ import annotations

import time


def test_the_worker_really_vacuums_the_timers(city, acting, as_role):
    """The server only warns, and does nothing, when the role may not: so the server itself is asked."""
    from bihuan.loops.tick import vacuum_timers

    with as_role("superuser", autocommit=True) as database:
        with acting("work"):
            vacuum_timers()
        for _ in range(100):  # statistics are told when the worker's statement has ended
            database.execute("SELECT pg_stat_force_next_flush()")
            (n,) = database.execute("SELECT vacuum_count FROM pg_stat_user_tables WHERE relname = 'timer'").fetchone()
            if n:
                break
            time.sleep(0.05)
    assert n == 1
