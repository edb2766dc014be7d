"""One lead per (event, person, arrival) and one duty for each, computed from all reports of the persons concerned.

What should be is a function of the reports alone; this compares it with what is and records the difference. So the
lists may come in any order, persons may be joined and parted, and the end is the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import polars as pl
import psycopg
from django.db import connection

from bihuan.access.door import engine
from bihuan.kernel import clock, ids
from bihuan.leads.episodes import islands, summaries
from bihuan.leads.facts import LEAD_REPORTED, LEAD_SPLIT
from bihuan.leads.loops import VERIFY
from bihuan.loops import clusters, handle, withdraw
from bihuan.loops.copy_frame import copy_frame
from bihuan.loops.decisions import event_region
from bihuan.loops.record import record_many
from bihuan.loops.touched import touched
from bihuan.policy import pack as packs
from bihuan.regions import queries as regions

REPORT = {
    "root": pl.String, "subject": pl.String, "arrived_at": pl.Datetime("us", "UTC"), "community": pl.Int64, "county": pl.Int64,
    "source": pl.String, "origin": pl.String, "origin_class": pl.String, "report_key": pl.Int64, "first_new": pl.Int64,
}  # fmt: skip
_LEAD = {
    "lead": pl.String, "root": pl.String, "lead_subject": pl.String, "key": pl.String, "lead_from": pl.Datetime("us", "UTC"),
    "lead_to": pl.Datetime("us", "UTC"), "lead_desk": pl.Int64, "first_reported_at": pl.Datetime("us", "UTC"),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Reconciled:
    """`of_report`: the reports given, with `island_new` and the lead's `key`, `lead`; counts of what was changed."""

    of_report: pl.DataFrame
    n_created: int
    n_merged: int
    n_split: int
    n_moved: int


def _frame(sql: str, parameters: dict, schema: dict) -> pl.DataFrame:
    with engine(), connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows = cursor.fetchall()
    return pl.DataFrame(rows, schema=schema, orient="row")


def reports_of(event: int, roots: Sequence[str] | None) -> pl.DataFrame:
    """All standing reports of these persons; of all persons of the event where `roots` is None."""
    return _frame(
        """
        SELECT c.root::text, f.subject::text, r.arrived_at, r.community, r.county, r.source, r.origin, r.origin_class,
               r.report_key, NULL::bigint
        FROM cluster c JOIN fact f ON f.subject = c.subject AND f.event = %(event)s AND f.kind = 'leads.lead_reported'
        JOIN lead_reported r ON r.fact = f.id
        WHERE (%(roots)s::uuid[] IS NULL OR c.root = ANY(%(roots)s::uuid[]))
          AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = f.id)
        """,
        {"event": event, "roots": None if roots is None else list(roots)},
        REPORT,
    )


def _leads_of(event: int, roots: Sequence[str]) -> pl.DataFrame:
    return _frame(
        """
        SELECT l.id::text, c.root::text, l.subject::text, l.key, l.arrived_from, l.arrived_to, l.desk, l.first_reported_at
        FROM cluster c JOIN lead l ON l.subject = c.subject AND l.event = %(event)s AND l.merged_into IS NULL
        WHERE c.root = ANY(%(roots)s::uuid[])
        """,
        {"event": event, "roots": list(roots)},
        _LEAD,
    )


def leads_on_islands(leads: pl.DataFrame, summary: pl.DataFrame, gap: timedelta) -> pl.DataFrame:
    """Each lead on the island of its person that is nearest to it in time, nearer than `gap`; undated ones on any."""
    pairs = leads.join(summary.select("root", "island", "arrived_from", "arrived_to"), on="root")
    after = (pl.col("arrived_from") - pl.col("lead_to")).fill_null(timedelta(0))
    before = (pl.col("lead_from") - pl.col("arrived_to")).fill_null(timedelta(0))
    apart = pl.max_horizontal(after, before, pl.lit(timedelta(0)))
    return (
        pairs.with_columns(apart=apart)
        .filter(pl.col("apart") < gap)
        .sort("lead", "apart", "island")
        .unique("lead", keep="first", maintain_order=True)
    )


def reconcile(event: int, roots: Sequence[str], new: pl.DataFrame, *, by, act: UUID, reports: pl.DataFrame | None = None) -> Reconciled:
    """Bring leads and duties of these persons in line with their reports; inside an action.

    `new`: reports not yet recorded (columns of REPORT; `first_new` numbers them; already known ones may be among them);
    `reports`: what `LEAD_REPORTED` needs of the rows to be recorded, with `first_new`; they are recorded here, after
    their arrival is known.
    """
    on = clock.today()
    gap = packs.in_force(event, regions.scope_of(_home(event), on), on).lead.episode
    every = pl.concat([reports_of(event, roots), new.select(REPORT.keys()).cast(REPORT)])
    placed = islands(every, gap)
    summary = summaries(placed)
    leads = _leads_of(event, roots)
    found = leads_on_islands(leads, summary, gap)
    _withdraw(leads.join(found.select("lead"), on="lead", how="anti")["lead"].to_list())
    worked_on = _worked_on(event, found)
    found = found.with_columns(worked=pl.col("lead").is_in(list(worked_on)))
    ranked = found.sort("root", "island", pl.col("worked").not_(), "first_reported_at", "lead", descending=False)
    keepers = ranked.unique(["root", "island"], keep="first", maintain_order=True)
    summary = summary.join(
        keepers.select("root", "island", "lead", "lead_subject", "key", "lead_desk", "first_reported_at"), on=["root", "island"], how="left"
    )
    summary = summary.with_columns(island_new=pl.col("lead").is_null())
    # A lead that is made now names the alias of its first report; the key is the day of its earliest arrival.
    first_alias = (
        placed.sort(pl.col("first_new"), "report_key", nulls_last=False)
        .group_by("root", "island", maintain_order=True)
        .agg(pl.col("subject").first().alias("first_subject"))
    )
    summary = summary.join(first_alias, on=["root", "island"], how="left").with_columns(
        lead_subject=pl.coalesce("lead_subject", "first_subject"), key=pl.coalesce("key", "first_day")
    )
    made = [
        lead or str(ids.derived_id(act, "lead", subject, key))
        for lead, subject, key in summary.select("lead", "lead_subject", "key").iter_rows()
    ]
    summary = summary.with_columns(
        lead=pl.Series(made, dtype=pl.String), first_reported_at=pl.col("first_reported_at").fill_null(clock.now())
    )
    _write_leads(event, summary, ranked, keepers)

    marked = placed.filter(pl.col("first_new").is_not_null()).join(
        summary.select("root", "island", "island_new", "lead", "key", "desk"), on=["root", "island"], how="left"
    )
    if reports is not None and not reports.is_empty():
        rows = reports.join(marked.select("first_new", pl.col("key").alias("episode"), "desk"), on="first_new", how="left").drop(
            "first_new"
        )
        record_many(LEAD_REPORTED, rows, event=event, by=by, act=act)
    parts = summary.filter(pl.col("island_new") & pl.col("first_new").is_null())
    if not parts.is_empty():
        rows = parts.select(subject=pl.col("lead_subject"), origin_class="origin_class", desk="desk", episode="key")
        record_many(LEAD_SPLIT, rows, event=event, by=by, act=ids.derived_id(act, "split"))
    n_merged = _merge_duties(event, ranked, keepers, by, act)
    moved = summary.filter(pl.col("island_new").not_() & pl.col("desk").ne_missing(pl.col("lead_desk")))
    n_moved = _move_duties(event, moved, by, act) if not moved.is_empty() else 0
    n_created = summary.filter(pl.col("island_new")).height
    return Reconciled(marked, n_created, n_merged, parts.height, n_moved)


def _withdraw(leads: list[str]) -> None:
    """Leads of which no report stands any more: kept, and counted nowhere."""
    if leads:
        with engine(), connection.cursor() as cursor:
            cursor.execute("UPDATE lead SET n_reports = 0, sources = '{}' WHERE id = ANY(%s::uuid[])", (leads,))


def after_withdrawal(event: int, subject: UUID, *, by, act: UUID) -> None:
    """A report was withdrawn: what the others tell still stands, and if they tell of an arrival somebody verifies it.

    Where none is left, nothing is to be verified: what had parted the lead from another is withdrawn too.
    """
    with engine(), connection.cursor() as cursor:
        cursor.execute("SELECT root::text FROM cluster WHERE subject = %s", (subject,))
        roots = [root for (root,) in cursor.fetchall()]
    reconcile(event, roots, pl.DataFrame(schema=REPORT), by=by, act=ids.derived_id(act, "reconcile"))
    owed = _frame(
        """
        SELECT l.subject::text, l.origin_class, l.desk, l.key FROM lead l JOIN cluster c ON c.subject = l.subject
        WHERE c.root = ANY(%(roots)s::uuid[]) AND l.event = %(event)s AND l.merged_into IS NULL AND l.n_reports > 0
          AND NOT EXISTS (SELECT 1 FROM cluster m JOIN loop d ON d.subject = m.subject AND d.kind = %(kind)s AND d.key = l.key
                          WHERE m.root = c.root AND d.event = l.event AND (d.closed_at IS NULL OR d.outcome <> 'void'))
        """,
        {"roots": roots, "event": event, "kind": VERIFY.name},
        {"subject": pl.String, "origin_class": pl.String, "desk": pl.Int64, "episode": pl.String},
    )
    record_many(LEAD_SPLIT, owed, event=event, by=by, act=ids.derived_id(act, "owed"))
    splits = _frame(
        """
        SELECT f.id::text, f.subject::text FROM lead l JOIN cluster c ON c.subject = l.subject JOIN cluster m ON m.root = c.root
        JOIN fact f ON f.subject = m.subject AND f.event = l.event AND f.kind = 'leads.lead_split'
        JOIN lead_split s ON s.fact = f.id AND s.episode = l.key
        WHERE c.root = ANY(%(roots)s::uuid[]) AND l.event = %(event)s AND l.merged_into IS NULL AND l.n_reports = 0
          AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = f.id)
        """,
        {"roots": roots, "event": event},
        {"id": pl.String, "subject": pl.String},
    )
    for fact, of in splits.iter_rows():
        withdraw.withdraw(UUID(fact), event=event, subject=UUID(of), region=None, reason="名单上报已作废", by=by, act=act)


def _home(event: int) -> int:
    return event_region(event)


def _worked_on(event: int, found: pl.DataFrame) -> set[str]:
    """Leads (of persons with several on one island) whose open verification was worked on."""
    several = found.filter(pl.len().over("root", "island") > 1)
    if several.is_empty():
        return set()
    loops = _open_duties(event, several.select("root", "key").unique())
    worked_on = touched([loop for loop, *_ in loops])
    keys = {(root, key) for loop, kind, root, key, _ in loops if loop in worked_on and kind == VERIFY.name}
    return {lead for lead, root, key in several.select("lead", "root", "key").iter_rows() if (root, key) in keys}


def _open_duties(event: int, of: pl.DataFrame) -> list[tuple]:
    """(loop, kind, root, key, owner) of open duties of this module by person and key."""
    with engine(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT l.id, l.kind, c.root::text, l.key, l.owner
            FROM unnest(%s::uuid[], %s::text[]) AS w(root, key) JOIN cluster c ON c.root = w.root
            CROSS JOIN LATERAL (  -- by the index of subjects, however little the statistics know of a morning's new rows
              SELECT * FROM loop d WHERE d.subject = c.subject AND d.key = w.key AND d.event = %s AND d.closed_at IS NULL OFFSET 0) l
            WHERE l.kind LIKE 'leads.%%' ORDER BY l.id
            """,
            (of["root"].to_list(), of["key"].to_list(), event),
        )
        return cursor.fetchall()


_STAGED = {
    "id": "uuid", "event": "int", "subject": "uuid", "key": "text", "first_reported_at": "timestamptz", "arrived_from": "timestamptz",
    "arrived_to": "timestamptz", "origin": "text", "origin_class": "text", "desk": "int", "precision": "text", "sources": "text[]",
    "n_reports": "int",
}  # fmt: skip
_KNOWLEDGE = list(_STAGED)[5:]  # what may become better known; who and which arrival never change
_UPSERT = f"""
INSERT INTO lead ({", ".join(_STAGED)}) SELECT {", ".join(_STAGED)} FROM pg_temp.staged_lead ORDER BY subject, key
ON CONFLICT (event, subject, key) DO UPDATE SET {", ".join(f"{n} = excluded.{n}" for n in _KNOWLEDGE)}, merged_into = NULL
WHERE (lead.merged_into, {", ".join(f"lead.{n}" for n in _KNOWLEDGE)})
  IS DISTINCT FROM (NULL::uuid, {", ".join(f"excluded.{n}" for n in _KNOWLEDGE)})
"""


def _write_leads(event: int, summary: pl.DataFrame, ranked: pl.DataFrame, keepers: pl.DataFrame) -> None:
    merged = ranked.join(keepers.select("root", "island", pl.col("lead").alias("keeper")), on=["root", "island"]).filter(
        pl.col("lead") != pl.col("keeper")
    )
    rows = summary.select(
        id="lead", event=pl.lit(event), subject="lead_subject", key="key", arrived_from="arrived_from", arrived_to="arrived_to",
        origin="origin", origin_class="origin_class", desk="desk", precision="precision", sources="sources", n_reports="n_reports",
        first_reported_at="first_reported_at",
    )  # fmt: skip
    with engine(), psycopg.Cursor(connection.connection) as cursor:
        if not merged.is_empty():
            cursor.execute(
                "UPDATE lead SET merged_into = w.keeper FROM unnest(%s::uuid[], %s::uuid[]) AS w(id, keeper) WHERE lead.id = w.id",
                (merged["lead"].to_list(), merged["keeper"].to_list()),
            )
        definition = ", ".join(f"{name} {sql_type}" for name, sql_type in _STAGED.items())
        cursor.execute(f"CREATE TEMPORARY TABLE staged_lead ({definition}) ON COMMIT DROP")
        copy_frame(cursor, "pg_temp.staged_lead", rows.select(list(_STAGED)))
        cursor.execute(_UPSERT)
        cursor.execute("DROP TABLE pg_temp.staged_lead")


def _merge_duties(event: int, ranked: pl.DataFrame, keepers: pl.DataFrame, by, act: UUID) -> int:
    """Two arrivals turned out to be one: the duties of the lead that is no more end, where the other's stand."""
    pairs = ranked.join(keepers.select("root", "island", pl.col("key").alias("keep_key")), on=["root", "island"]).filter(
        pl.col("key") != pl.col("keep_key")
    )
    if pairs.is_empty():
        return 0
    lost = _open_duties(event, pairs.select("root", "key"))
    with engine(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT l.kind, c.root::text, l.key, min(l.id) FROM unnest(%s::uuid[], %s::text[]) AS w(root, key)
            JOIN cluster c ON c.root = w.root JOIN loop l ON l.subject = c.subject AND l.key = w.key AND l.event = %s
            WHERE l.kind LIKE 'leads.%%' AND (l.closed_at IS NULL OR l.outcome <> 'void') GROUP BY 1, 2, 3
            """,
            (pairs["root"].to_list(), pairs["keep_key"].to_list(), event),
        )
        standing = {(kind, root, key): loop for kind, root, key, loop in cursor.fetchall()}
    keep_key = {(root, key): keep for root, key, keep in pairs.select("root", "key", "keep_key").iter_rows()}
    worked_on = touched([loop for loop, *_ in lost])
    keeper_of = {}
    for loop, kind, root, key, _ in lost:
        keeper = standing.get((kind, root, keep_key[root, key]))
        if keeper is not None and loop not in worked_on:
            keeper_of[loop] = keeper
    return len(clusters.merge(keeper_of, by=by, act=ids.derived_id(act, "arrivals")))


def _move_duties(event: int, moved: pl.DataFrame, by, act: UUID) -> int:
    """More is known of where a person stays: the verification goes there (reassigned if untouched, else offered)."""
    city_desk = regions.city_desk(_home(event))
    desk_of = {(root, key): desk or city_desk for root, key, desk in moved.select("root", "key", "desk").iter_rows()}
    duties = _open_duties(event, moved.select("root", "key"))
    unit_of = {loop: desk_of[root, key] for loop, kind, root, key, owner in duties if kind == VERIFY.name and owner != desk_of[root, key]}
    if not unit_of:
        return 0
    return sum(handle.route(unit_of, by=by, act=ids.derived_id(act, "known better"), reason="地址已查明", place=True))
