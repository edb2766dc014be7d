"""The clock of the duties."""

from __future__ import annotations

from bihuan.loops import handle, tallies, tick, verify
from bihuan.loops.models import Reckoning

# Above this many rungs in one tick the timers are vacuumed at once, so that the next probes stay cheap.
_BIG_TICK = 20_000
_GAPS_KEPT = 200
_RECKONINGS_KEPT = 300


class System:
    """Stands where a post would: facts of the clock have officer 0 and the unit 0."""

    officer_id = 0
    unit_id = 0
    id = 0


def run_tick() -> tick.Ticked:
    done = tick.tick()
    if done.n_fired >= _BIG_TICK:
        tick.vacuum_timers()
    return done


def expire() -> int:
    from django.db import transaction

    with transaction.atomic():
        return handle.expire_offers(by=System())


def reckon() -> None:
    """Recompute what must hold and keep the answer; a gap makes the job fail, so that the health page shows it."""
    report = verify.verify()
    shown = report.as_json()
    shown["gaps"] = shown["gaps"][:_GAPS_KEPT]
    Reckoning.objects.create(at=report.at, ok=report.ok, n_gaps=len(report.gaps), report=shown)
    old = Reckoning.objects.order_by("-id").values_list("id", flat=True)[_RECKONINGS_KEPT : _RECKONINGS_KEPT + 1]
    if old:
        Reckoning.objects.filter(id__lte=old[0]).delete()
    if not report.ok:
        raise RuntimeError(f"{len(report.gaps)} gaps: {', '.join(sorted({gap.check for gap in report.gaps}))}")


PERIODIC = [
    ("loops.tick", 5, run_tick),
    ("loops.expire_offers", 30, expire),
    ("loops.fold_tallies", 60, tallies.fold),
    ("loops.reckon", 300, reckon),
]
