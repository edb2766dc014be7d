"""`record` and `record_many`: the door through which facts enter.

A fact is never refused because a rule dislikes it. The same id with the same content again answers as the first time;
with other content it is kept as a conflict. Everything that follows (duties opened, closed, extended, movements,
timers, counts, visibility) is written in the same statement.
"""

from __future__ import annotations

import dataclasses
import time
from datetime import date, datetime
from enum import Enum
from typing import Any
from uuid import UUID

import polars as pl
import psycopg
from django.db import connection

from bihuan.access.door import engine
from bihuan.kernel import clock, ids
from bihuan.ledger.facts import CONTRADICTED
from bihuan.ledger.kinds import FactKind
from bihuan.loops.copy_frame import copy_frame
from bihuan.loops.decisions import decide, event_region, packs_kept, reads_of, write_ladders
from bihuan.loops.sql import HEADER, UNSTAGE, append_statement, digest, record_statement, staging_statements
from bihuan.loops.statement import kept, literal
from bihuan.regions import queries as regions

_SORTED_IN_MEMORY = 20_000  # rows that the server's own setting has room for


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
        ((n_new, opened, closed),) = kept(record_statement(kind.name, False), parameters)[1]
        if n_new:
            return Done(fact, tuple(opened), tuple(closed))
        with psycopg.Cursor(connection.connection) as cursor:
            return _known(cursor, kind, fact, parameters, by)


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
        if decisions.touch_nothing:
            n_new, opened, closed = cursor.execute(append_statement(kind.name), parameters, prepare=False).fetchone()[0], (), ()
        else:
            for statement in ("ANALYZE pg_temp.staged_fact (id, subject, combo)", *staging_statements(kind.name)):
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
            same = psycopg.sql.Literal(literal(values[0])).as_string(cursor)
            definitions.append(f"{name} {sql_type} DEFAULT {same}")
        else:
            definitions.append(f"{name} {sql_type}")
            varying += [name] if name != "id" else []
    if len(frame) > _SORTED_IN_MEMORY:
        cursor.execute("SET LOCAL work_mem = '64MB'")  # a large batch is sorted and joined several times
    cursor.execute(f"CREATE TEMPORARY TABLE staged_fact ({', '.join(definitions)}) ON COMMIT DROP")
    copy_frame(cursor, "pg_temp.staged_fact", frame.select(varying))


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
