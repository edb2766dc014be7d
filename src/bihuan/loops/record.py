"""`record` and `record_many`: the door through which facts enter.

A fact is never refused because a rule dislikes it. The same id with the same content again answers as the first time;
with other content it is kept as a conflict. Everything that follows (duties opened, closed, extended, movements,
timers, counts, visibility) is written in the same statement.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import re
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import polars as pl
import psycopg
from django.db import connection
from psycopg.copy import QueuedLibpqWriter

from bihuan.access.door import engine
from bihuan.kernel import clock, ids
from bihuan.ledger.facts import CONTRADICTED
from bihuan.ledger.kinds import FactKind
from bihuan.loops import declare
from bihuan.loops.sql import HEADER, UNSTAGE, digest, record_statement, staging_statements
from bihuan.policy import pack as packs
from bihuan.regions import queries as regions

_COPY_SLICE = 50_000  # rows
_SORTED_IN_MEMORY = 20_000  # rows that the server's own setting has room for
_NEVER_BY_ITSELF = 1_000_000_000  # executions after which the driver would prepare a statement unasked


@dataclasses.dataclass(frozen=True)
class Recorded:
    """What became of a batch: counts of facts new, known (same content again) and in conflict; ids of duties."""

    n_new: int
    n_known: int
    n_conflict: int
    opened: tuple[int, ...]
    closed: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Done:
    """The answer to an officer: the fact's id, and the duties that it opened and closed. A repetition answers the same."""

    fact: UUID
    opened: tuple[int, ...] = ()
    closed: tuple[int, ...] = ()
    repeated: bool = False
    conflict: bool = False


class Decisions:
    """What the declarations answer for the distinct combinations of a batch, as the arrays of the statement."""

    def __init__(self) -> None:
        self.opens: list[tuple] = []  # combo, kind, owner, due_at, pack, rungs
        self.closes: list[tuple] = []  # combo, kind
        self.extends: list[tuple] = []  # combo, kind, pack, due_at, rungs
        self.ladders: dict[tuple[str, str], tuple] = {}

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
    return _literal([pack.asks_at(due_at, rung, origin_class) for rung in ladder])


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
    from django.db import transaction

    transaction.on_commit(lambda: _ladders_written.update((database, *key) for key in missing))


_event_regions: dict[tuple[str, int], int] = {}


def event_region(event: int) -> int:
    """The region of an event (it never changes)."""
    key = (connection.settings_dict["NAME"], event)
    if key not in _event_regions:
        from bihuan.policy.models import Event

        _event_regions[key] = Event.objects.values_list("region_id", flat=True).get(id=event)
    return _event_regions[key]


_SCOPE_FRESH_SECONDS = 1.0  # as the plan of rules that it chooses from
_scopes: dict[tuple[str, int, date], tuple[float, int]] = {}


def _scope_of(region: int, on: date) -> int:
    """Where a fact lies, to choose the rules that apply there. (A duty's own scope is read by the statement itself.)"""
    key = (connection.settings_dict["NAME"], region, on)
    known = _scopes.get(key)
    if known is None or time.monotonic() >= known[0]:
        if len(_scopes) > 1000:
            _scopes.clear()
        known = _scopes[key] = (time.monotonic() + _SCOPE_FRESH_SECONDS, regions.scope_of(region, on))
    return known[1]


def record(
    kind: FactKind,
    *,
    event: int,
    subject: UUID,
    details: Any,
    by,
    id: UUID | None = None,
    act: UUID | None = None,
    happened_at: datetime | None = None,
    effective_at: datetime | None = None,
    region: int | None = None,
    corrects: UUID | None = None,
    purpose: str = "",
    device: int | None = None,
    device_seq: int | None = None,
) -> Done:
    """Append one fact and all that follows, in one statement. Inside an action; permission was decided there.

    `id` is made by whoever saw it happen and kept for repetitions; `happened_at` aware (default: now); `by` a Post.
    """
    now = clock.now()
    fact = id or ids.new_id()
    values = {field.name: _plain(getattr(details, field.name)) for field in kind.fields}
    scope = _scope_of(region or event_region(event), now.astimezone(clock.SHANGHAI).date())
    decisions = decide(kind, [{**values, "combo": 0, "scope": scope}], event, now, packs_kept(kind))
    parameters = {
        "id": fact, "act": act or fact, "event": event, "subject": subject, "region": region,
        "happened_at": happened_at or now, "effective_at": effective_at or happened_at or now, "device": device,
        "device_seq": device_seq, "purpose": purpose, "corrects": corrects, "combo": 0,
        "now": now, "day": now.astimezone(clock.SHANGHAI).date(), "by": by.officer_id, "unit": by.unit_id, "said_at": happened_at,
        **{f"d_{name}": value for name, value in values.items()}, **decisions.parameters(),
    }  # fmt: skip
    with engine(subject if kind.key else None):
        write_ladders(decisions.ladders)
        n_new, opened, closed = _executed(kind, parameters)
        if n_new:
            return Done(fact, tuple(opened), tuple(closed))
        with psycopg.Cursor(connection.connection) as cursor:
            return _known(cursor, kind, fact, parameters, by)


def _executed(kind: FactKind, parameters: Mapping[str, Any]) -> tuple:
    """The statement of one fact. To plan it costs more than to run it: so each connection keeps the plan."""
    raw = connection.connection
    if raw.prepare_threshold is None:  # how Django opens it: nothing is ever prepared
        raw.prepare_threshold = _NEVER_BY_ITSELF
    statement, names = _numbered(kind.name)
    with psycopg.RawCursor(raw) as cursor:
        return cursor.execute(statement, [_literal(parameters[name]) for name in names], prepare=True).fetchone()


def _literal(value: Any) -> str | None:
    """A parameter as PostgreSQL reads it; the statement says its type.

    Were it left to the driver, the type would follow the value (a small integer, a null, an empty list), and each
    combination of types would be another statement, to be planned anew.
    """
    if value is None or type(value) is str:
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value.days} days {value.seconds}.{value.microseconds:06d} seconds"
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, list | tuple):
        return "{" + ",".join("NULL" if item is None else _quoted(_literal(item)) for item in value) + "}"
    return str(value)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@functools.cache
def _numbered(name: str) -> tuple[str, tuple[str, ...]]:
    """The statement of one fact with numbered parameters, which the driver need not look for each time; their names."""
    names: dict[str, int] = {}

    def number(match: re.Match) -> str:
        return f"${names.setdefault(match[1], len(names) + 1)}"

    statement = re.sub(r"%\((\w+)\)s", number, record_statement(name, False)).replace("%%", "%")
    return statement, tuple(names)


def _known(cursor: psycopg.Cursor, kind: FactKind, fact: UUID, parameters: dict, by) -> Done:
    """The id was there: the first answer again, or a conflict kept for a person to settle."""
    columns = ", ".join(f"%(d_{field.name})s::{field.sql_type} AS {field.name}" for field in kind.fields)
    # A sender who said no time meant the moment of the first sending; said again later, it is the same content.
    said_at = "coalesce(%(said_at)s::timestamptz, (SELECT happened_at FROM fact WHERE id = %(id)s))"
    header = f"%(event)s::int AS event, %(subject)s::uuid AS subject, {said_at} AS happened_at"
    row = cursor.execute(
        f"WITH s0 AS (SELECT {header}{', ' + columns if columns else ''}),"
        f" c AS (SELECT {digest(kind, 's0')} AS digest, to_jsonb(s0) AS content FROM s0)"
        " SELECT f.digest = c.digest, c.digest, c.content::text FROM fact f, c WHERE f.id = %(id)s",
        parameters,
    ).fetchone()
    same, new_digest, content = row
    if not same:
        kept = cursor.execute(
            'INSERT INTO conflict (fact, kind, content, region, effective_at, device_seq, purpose, digest, received_at, "by", unit, device)'
            " VALUES (%(id)s, %(kind)s, %(content)s, %(region)s, %(effective_at)s, %(device_seq)s, %(purpose)s, %(digest)s, %(now)s,"
            " %(by)s, %(unit)s, %(device)s) ON CONFLICT (fact, digest) DO NOTHING RETURNING fact, digest",
            {**parameters, "kind": kind.name, "content": content, "digest": new_digest},
        ).fetchall()
        _ask_which(kept, by)
    moves = cursor.execute("SELECT what, loop FROM movement WHERE at_fact = %s ORDER BY loop", (fact,)).fetchall()
    opened = tuple(loop for what, loop in moves if what == "opened")
    closed = tuple(loop for what, loop in moves if what == "closed")
    return Done(fact, opened, closed, repeated=True, conflict=not same)


def record_many(kind: FactKind, rows: pl.DataFrame, *, event: int, by, act: UUID, purpose: str = "") -> Recorded:
    """Append a batch of facts of one kind and all that follows, set-based. What a batch says twice under one id is said once.

    `rows` has `subject` (text of a UUID), the fields of the details, and where known `id`, `region`, `happened_at`,
    `effective_at`, `corrects`, `device`, `device_seq`. Missing ids are computed from the act and the row's content
    position, so that the same act repeated makes the same ids.
    """
    if rows.is_empty():
        return Recorded(0, 0, 0, (), ())
    if "id" in rows.columns and not (first := rows["id"].is_first_distinct()).all():
        one, more = (_record_batch(kind, rows.filter(some), event, by, act, purpose) for some in (first, ~first))
        return Recorded(one.n_new, one.n_known + more.n_known, one.n_conflict + more.n_conflict, one.opened, one.closed)
    return _record_batch(kind, rows, event, by, act, purpose)


def _record_batch(kind: FactKind, rows: pl.DataFrame, event: int, by, act: UUID, purpose: str) -> Recorded:
    now = clock.now()
    frame, combos = _staged(kind, rows, event, act, now, purpose)
    decisions = decide(kind, combos, event, now, packs_kept(kind))
    day = now.astimezone(clock.SHANGHAI).date()
    parameters = {"now": now, "day": day, "by": by.officer_id, "unit": by.unit_id, **decisions.parameters()}
    with engine(), psycopg.Cursor(connection.connection) as cursor:
        write_ladders(decisions.ladders)
        stage(cursor, kind, frame)
        for statement in staging_statements(kind.name):
            cursor.execute(statement, parameters if "%(" in statement else None)
        n_new, opened, closed = cursor.execute(record_statement(kind.name, True), parameters, prepare=False).fetchone()
        n_conflict, kept = _keep_conflicts(cursor, kind, parameters, "happened_at" in rows.columns) if n_new < len(frame) else (0, [])
        cursor.execute(UNSTAGE)
        _ask_which(kept, by)
    return Recorded(n_new, len(frame) - n_new - n_conflict, n_conflict, tuple(opened), tuple(closed))


def _staged(kind: FactKind, rows: pl.DataFrame, event: int, act: UUID, now: datetime, purpose: str):
    """The columns of the staging table, and the distinct combinations as dictionaries."""
    names = set(rows.columns)
    missing = {f.name for f in kind.fields} - names
    if missing or "subject" not in names:
        raise ValueError(f"{kind.name}: rows lack {sorted(missing) or 'subject'}")
    frame = rows
    if "id" not in names:
        made = [str(ids.derived_id(act, kind.name, subject, no)) for no, subject in enumerate(rows["subject"])]
        frame = frame.with_columns(pl.Series("id", made))
    moment = pl.lit(now)
    defaults = {
        "act": pl.lit(str(act)), "event": pl.lit(event), "region": pl.lit(None, pl.Int64), "happened_at": moment,
        "effective_at": pl.col("happened_at") if "happened_at" in names else moment, "device": pl.lit(None, pl.Int64),
        "device_seq": pl.lit(None, pl.Int64), "purpose": pl.lit(purpose), "corrects": pl.lit(None, pl.String),
    }  # fmt: skip
    frame = frame.with_columns(**{name: value for name, value in defaults.items() if name not in names})
    reads = [*reads_of(kind), "region"]
    distinct = frame.select(reads).unique(maintain_order=True).with_row_index("combo")
    frame = frame.join(distinct.with_columns(pl.col("combo").cast(pl.Int64)), on=reads, how="left", nulls_equal=True)
    on = now.astimezone(clock.SHANGHAI).date()
    home = event_region(event)
    regions_seen = [r if r is not None else home for r in distinct["region"].to_list()]
    scopes = regions.scopes_of(set(regions_seen), on)
    combos = [{**row, "scope": scopes[r]} for row, r in zip(distinct.to_dicts(), regions_seen, strict=True)]
    return frame, combos


def stage(cursor: psycopg.Cursor, kind: FactKind, frame: pl.DataFrame) -> None:
    """COPY a batch into the temporary table that the statement reads. After the role switch: COPY under RLS is refused.

    What is the same in all rows of the batch (act, event, file, mostly nothing at all) is said once, as a default.
    """
    columns = [*HEADER, *((field.name, field.sql_type) for field in kind.fields)]
    definitions, varying = [], ["id"]
    for name, sql_type in columns:
        values = frame.get_column(name)
        if values.null_count() == len(values):
            definitions.append(f"{name} {sql_type}")
        elif name != "id" and not isinstance(values.dtype, pl.List) and values.eq_missing(values[0]).all():
            same = psycopg.sql.Literal(_literal(values[0])).as_string(cursor)
            definitions.append(f"{name} {sql_type} DEFAULT {same}")
        else:
            definitions.append(f"{name} {sql_type}")
            varying += [name] if name != "id" else []
    if len(frame) > _SORTED_IN_MEMORY:
        cursor.execute("SET LOCAL work_mem = '64MB'")  # a large batch is sorted and joined several times
    cursor.execute(f"CREATE TEMPORARY TABLE staged_fact ({', '.join(definitions)}) ON COMMIT DROP")
    copy_frame(cursor, "pg_temp.staged_fact", frame.select(varying))
    cursor.execute("ANALYZE pg_temp.staged_fact (id, subject, combo)")


def copy_frame(cursor: psycopg.Cursor, table: str, frame: pl.DataFrame) -> None:
    """COPY a frame into a table with the same columns. Null is `\\N`, an empty text stays empty.

    In COPY's own text form, which the server reads in half the time of CSV, and in slices, so that it reads one while
    the next is written.
    """
    ready = frame.with_columns(
        pl.col(pl.Datetime).dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f+00"),
    ).with_columns(
        pl.concat_str(pl.lit("{"), pl.col(name).list.eval(_array_element()).list.join(","), pl.lit("}")).alias(name)
        for name, dtype in frame.schema.items()
        if dtype == pl.List(pl.String)
    )
    texts = [name for name, dtype in ready.schema.items() if dtype == pl.String]
    odd = [name for name in texts if ready.get_column(name).str.contains(r"[\\\t\n\r]").any()]
    ready = ready.with_columns(_escaped(pl.col(name)) for name in odd)
    columns = ", ".join(f'"{name}"' for name in frame.columns)
    # The next slice is written while the server still reads the last one; a single slice needs no thread for that.
    writer = QueuedLibpqWriter(cursor) if len(ready) > _COPY_SLICE else None
    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN", writer=writer) as copy:
        for part in ready.iter_slices(_COPY_SLICE):
            buffer = io.BytesIO()
            part.write_csv(buffer, include_header=False, separator="\t", quote_style="never", null_value="\\N")
            copy.write(buffer.getvalue())


def _escaped(text: pl.Expr) -> pl.Expr:
    for sign, written in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.str.replace_all(sign, written, literal=True)
    return text


def _array_element() -> pl.Expr:
    escaped = pl.element().str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
    return pl.format('"{}"', escaped)


def _keep_conflicts(cursor: psycopg.Cursor, kind: FactKind, parameters: dict, said_at: bool) -> tuple[int, list[tuple[UUID, bytes]]]:
    """Rows whose id is known with other content are kept; how many there are, and those that were not kept before.

    `said_at`: the rows tell when it happened.
    """
    circumstances = ("region", "effective_at", "device_seq", "purpose", "device")
    columns = "".join(f", s.{f.name}" for f in kind.fields)
    rows = f"""(SELECT s.id, s.event, s.subject, {"s" if said_at else "f"}.happened_at, {", ".join(f"s.{n}" for n in circumstances)},
                       f.digest AS said{columns} FROM pg_temp.staged_fact s JOIN fact f USING (id))"""
    names = ", ".join(f"'{f.name}', s0.{f.name}" for f in kind.fields)
    content = "jsonb_build_object('event', s0.event, 'subject', s0.subject, 'happened_at', s0.happened_at"
    content += f", {names})" if names else ")"
    n, facts, digests = cursor.execute(
        f"WITH other AS (SELECT s0.id, {digest(kind, 's0')} AS digest, {content} AS content, {', '.join(f's0.{n}' for n in circumstances)}"
        f"  FROM {rows} s0 WHERE s0.said <> {digest(kind, 's0')}),"
        f' kept AS (INSERT INTO conflict (fact, kind, content, digest, received_at, "by", unit, {", ".join(circumstances)})'
        f"  SELECT id, '{kind.name}', content, digest, %(now)s, %(by)s, %(unit)s, {', '.join(circumstances)} FROM other"
        "  ON CONFLICT (fact, digest) DO NOTHING RETURNING fact, digest)"
        " SELECT (SELECT count(*) FROM other), array_agg(fact), array_agg(digest) FROM kept",
        parameters,
    ).fetchone()
    return n, list(zip(facts or [], digests or [], strict=True))


# Whose record it was; a sender of lists works on nobody, so the desk above it is asked.
_WHOSE = """
SELECT f.id::text, f.event, f.subject::text, f.region, encode(w.digest, 'hex'), CASE WHEN u.kind = 'sender' THEN l.above_id ELSE u.id END
FROM unnest(%s::uuid[], %s::bytea[]) AS w(fact, digest) JOIN fact f ON f.id = w.fact
LEFT JOIN unit u ON u.id = f.unit LEFT JOIN unit_line l ON l.unit_id = u.id AND l.steps = 1
"""


def question_of(fact: UUID | str, digest_hex: str) -> str:
    """The name of a question: which record's id came again, and with which content."""
    return f"{fact}:{digest_hex[:16]}"


def _ask_which(kept: list[tuple[UUID, bytes]], by) -> None:
    """Two contents under one id: the unit whose record it was has to say which holds. Set-based; the ids follow from the two."""
    if not kept:
        return
    with connection.cursor() as cursor:
        cursor.execute(_WHOSE, ([fact for fact, _ in kept], [digest for _, digest in kept]))
        found = cursor.fetchall()
    for event in sorted({row[1] for row in found}):
        some = [row for row in found if row[1] == event]
        made = [str(ids.derived_id(UUID(row[0]), CONTRADICTED.name, row[4])) for row in some]
        frame = pl.DataFrame(
            {"id": made, "act": made, "subject": [r[2] for r in some], "region": [r[3] for r in some], "corrects": [r[0] for r in some],
             "question": [question_of(r[0], r[4]) for r in some], "desk": [r[5] for r in some]},
            schema_overrides={"region": pl.Int64, "desk": pl.Int64},
        )  # fmt: skip
        _record_batch(CONTRADICTED, frame, event, by, UUID(made[0]), "")


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
