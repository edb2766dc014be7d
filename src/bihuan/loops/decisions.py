"""What the declarations answer: which duties a fact opens, closes and extends, who owns them, by when.

The pure meaning of the engine: asked once for each distinct combination of what the declarations read; the statement of
`record` only joins the answers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from bihuan.kernel import clock
from bihuan.ledger.kinds import FactKind
from bihuan.loops import declare
from bihuan.loops.statement import literal
from bihuan.policy import pack as packs
from bihuan.policy.models import Event
from bihuan.regions import queries as regions


class Decisions:
    """What the declarations answer for the distinct combinations of a batch, as the arrays of the statement."""

    def __init__(self) -> None:
        self.opens: list[tuple] = []  # combo, kind, owner, due_at, pack, rungs
        self.closes: list[tuple] = []  # combo, kind
        self.extends: list[tuple] = []  # combo, kind, pack, due_at, rungs
        self.ladders: dict[tuple[str, str], tuple] = {}

    @property
    def touch_nothing(self) -> bool:
        """No duty opens, closes or moves its deadline: the facts are only to be kept."""
        return not (self.opens or self.closes or self.extends)

    def parameters(self) -> dict[str, list]:
        opens = list(zip(*self.opens, strict=True)) or [()] * 6
        closes = list(zip(*self.closes, strict=True)) or [()] * 2
        extends = list(zip(*self.extends, strict=True)) or [()] * 5
        names = ("od_combo", "od_kind", "od_owner", "od_due", "od_pack", "od_rungs", "cd_combo", "cd_kind",
                 "xd_combo", "xd_kind", "xd_pack", "xd_due", "xd_rungs")  # fmt: skip
        return {name: list(values) for name, values in zip(names, [*opens, *closes, *extends], strict=True)}


class _Context(declare.Context):
    """A context that asks who the city's desk is only where a declaration wants to know."""

    def __init__(self, pack: Any, now: datetime, event: int, desk: Callable[[], int]) -> None:
        for name, value in (("pack", pack), ("now", now), ("event", event), ("_desk", desk)):
            object.__setattr__(self, name, value)

    @property
    def city_desk(self) -> int:  # type: ignore[override]
        return self._desk()  # type: ignore[attr-defined]


def reads_of(kind: FactKind) -> list[str]:
    """The columns on which the declarations of all duties that this kind of fact touches depend."""
    fields = {field.name for field in kind.fields}
    names: set[str] = set()
    for loop in declare.opened_by(kind):
        names |= {*loop.opens[kind].reads, *loop.owner.reads}
        names |= {loop.due.base} & fields if loop.due else set()
        names |= {loop.quiet} & fields if loop.quiet else set()
    for loop in declare.closed_by(kind):
        names |= set(loop.closes[kind].reads)
    for loop in declare.extended_by(kind):
        names |= {loop.extends[kind], *({loop.quiet} & fields if loop.quiet else set())}
    return sorted(names)


def packs_kept(kind: FactKind) -> list[tuple[str, str]]:
    """(duty, pack) of the duties whose deadline such a fact moves: each keeps the rules under which it was opened."""
    extended = [loop.name for loop in declare.extended_by(kind)]
    if not extended:
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT kind, pack FROM rung WHERE kind = ANY(%s) ORDER BY kind, pack", (extended,))
        return cursor.fetchall()


def decide(
    kind: FactKind, combos: Iterable[Mapping[str, Any]], event: int, now: datetime, kept: Iterable[tuple[str, str]] = ()
) -> Decisions:
    """Evaluate the declarations; each combo has `combo`, `scope` (where the fact lies) and what `reads_of` names.

    `kept`: see `packs_kept`. This is the pure meaning of the engine: the SQL only joins its answers.
    """
    decisions = Decisions()
    opened, closed, extended = declare.opened_by(kind), declare.closed_by(kind), declare.extended_by(kind)
    on = now.astimezone(clock.SHANGHAI).date()
    city_desk = functools.cache(lambda: regions.city_desk(event_region(event), on))
    for combo in combos:
        no = combo["combo"]
        pack = packs.in_force(event, combo["scope"], on)
        context = _Context(pack, now, event, city_desk)
        for loop in opened:
            when = loop.opens[kind]
            if when.fn(*(combo[r] for r in when.reads), context):
                owner = loop.owner.fn(*(combo[r] for r in loop.owner.reads), context) or context.city_desk
                due_at = deadline(loop, combo, context)
                rungs = _rungs(loop, pack, due_at, combo, decisions)
                decisions.opens.append((no, loop.name, owner, due_at, pack.key, rungs))
        for loop in closed:
            when = loop.closes[kind]
            if when.fn(*(combo[r] for r in when.reads), context):
                decisions.closes.append((no, loop.name))
        for loop in extended:
            start = combo[loop.extends[kind]]
            for key in (key for name, key in kept if name == loop.name and start is not None):
                own = _Context(packs.by_key(key), now, event, city_desk)
                due_at = deadline(loop, {**combo, loop.due.base: start, "received_at": start}, own)
                if due_at is not None:
                    decisions.extends.append((no, loop.name, key, due_at, _rungs(loop, own.pack, due_at, combo, decisions)))
    return decisions


def deadline(loop: declare.LoopKind, combo: Mapping[str, Any], context: declare.Context) -> datetime | None:
    """When the duty is due: its base plus the pack's duration, quiet hours folded in. None = no deadline."""
    if loop.due is None:
        return None
    duration = loop.due.duration(context.pack)
    if duration is None:
        return None
    base = combo.get(loop.due.base) or context.now
    due_at = base + duration
    if context.pack.quiet is None:
        return due_at
    return context.pack.quiet.fold(due_at, base, combo.get(loop.quiet) if loop.quiet else None)


def _rungs(loop: declare.LoopKind, pack, due_at: datetime | None, combo: Mapping[str, Any], decisions: Decisions) -> str | None:
    if due_at is None:
        return None
    ladder = tuple(loop.ladder(pack))
    if not ladder:
        raise ValueError(f"{loop.name}: a deadline without a ladder of help in {pack.key}")
    decisions.ladders[pack.key, loop.name] = ladder
    return rings(ladder, pack, due_at, combo.get(loop.quiet) if loop.quiet else None)


def rings(ladder: Iterable[Any], pack: Any, due_at: datetime, origin_class: str | None) -> str:
    """When each rung of a ladder rings, as PostgreSQL reads an array of moments. Reckoned once, when the clock is set."""
    return literal([pack.asks_at(due_at, rung, origin_class) for rung in ladder])


_ladders_written: set[tuple[str, str, str]] = set()


def write_ladders(ladders: Mapping[tuple[str, str], tuple]) -> None:
    """Keep the rungs of a pack beside the duties, once. Called inside the engine."""
    database = connection.settings_dict["NAME"]
    missing = {key: rungs for key, rungs in ladders.items() if (database, *key) not in _ladders_written}
    if not missing:
        return
    rows = [(*key, level, rung.after, rung.steps_up) for key, rungs in missing.items() for level, rung in enumerate(rungs, 1)]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO rung (pack, kind, level, after, steps_up) VALUES (%s, %s, %s, %s, %s) ON CONFLICT (pack, kind, level) DO NOTHING",
            rows,
        )
    transaction.on_commit(lambda: _ladders_written.update((database, *key) for key in missing))


_event_regions: dict[tuple[str, int], int] = {}


def event_region(event: int) -> int:
    """The region of an event (it never changes)."""
    key = (connection.settings_dict["NAME"], event)
    if key not in _event_regions:
        _event_regions[key] = Event.objects.values_list("region_id", flat=True).get(id=event)
    return _event_regions[key]
