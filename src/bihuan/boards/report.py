"""The figures of the boards for machines: the same statements as the pages, in one officer's range. Durations in minutes."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

from django.db import transaction

from bihuan.access import scope
from bihuan.access.decide import require
from bihuan.access.permissions import Permission
from bihuan.boards import quality, queries, times
from bihuan.boards.here import lines_of, top_of, window_of
from bihuan.kernel import clock
from bihuan.leads import times as instants

KINDS = ("times", "sources")


def report(kind: str, *, by: Any, event: int, unit: int | None = None, days: int = 0, at: str = "") -> dict[str, Any]:
    """`kind` of KINDS. Refuses: no right to figures, a unit out of range, an unreadable time, one before the first seal."""
    require(by, Permission.FIGURES_READ)
    require(by, Permission.LEAD_READ)
    with scope.acting(scope.of(by, read_only=True)), transaction.atomic():
        top = top_of(by, unit)
        cut = window_of(event, days, at).cut
        head = {
            "kind": kind, "unit": top.unit, "region": top.region, "at": cut.at.astimezone(clock.SHANGHAI),
            "seal": [cut.seal.epoch, cut.seal.no] if cut.seal is not None else None,
            "since": cut.since and cut.since.astimezone(clock.SHANGHAI),
        }  # fmt: skip
        return head | (_times(top, cut) if kind == "times" else _sources(top, cut))


def _minutes(span: timedelta | None) -> float | None:
    return None if span is None else round(span.total_seconds() / 60, 1)


def _figures(figures: times.Figures) -> dict[str, Any]:
    stages = {
        name: {"n": stage.n, "median": _minutes(stage.median), "ninth": _minutes(stage.ninth)} for name, stage in figures.stages.items()
    }
    return {"counts": dict(figures.counts), "stages": stages}


def _times(top: queries.Place, cut: instants.Cut) -> dict[str, Any]:
    below, line_of = lines_of(top)
    found = times.figures(cut, line_of)
    named = {top.unit: "", **{b.unit: b.region for b in below}}
    return {
        "total": _figures(found.total),
        "by_source": {source: _figures(figures) for source, figures in sorted(found.by_source.items())},
        "by_unit": [{"unit": unit, "region": named[unit], **_figures(found.by_line.get(unit, times.NOBODY))} for unit in named],
    }


def _sources(top: queries.Place, cut: instants.Cut) -> dict[str, Any]:
    units = [m.unit for m in queries.places(top.lo, top.hi)]
    found = quality.quality(cut, units)
    missed = quality.missed(found.together, quality.usual(found.by_source))
    lost = None
    if cut.seal is None:  # who is late now cannot be told of an earlier moment
        where, given = quality.lost(cut.event, units)
        lost = queries.count(where, given) + len(queries.unreconciled(cut.event))
    return {
        "by_source": {
            source: {**row.counts, "median": _minutes(row.median), "ninth": _minutes(row.ninth)}
            for source, row in sorted(found.by_source.items())
        },
        "together": [dataclasses.asdict(t) for t in found.together],
        "lost": lost,
        "missed": {
            "used": missed.used, "left_out": missed.loose, "numbers": missed.n_numbers, "reason": missed.reason or None,
            **({f: round(getattr(missed.estimate, f), 1) for f in ("found", "missed", "low", "high")} if missed.estimate else {}),
        },
    }  # fmt: skip
