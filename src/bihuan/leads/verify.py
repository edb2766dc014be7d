"""What must hold of leads, links and files; recomputed from the reports themselves. Run by `verify` as the worker's role."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from uuid import UUID

import polars as pl
from django.db import connection

from bihuan.identity import queries as identity
from bihuan.kernel import clock
from bihuan.leads.episodes import islands, summaries
from bihuan.leads.reconcile import leads_on_islands, reports_of
from bihuan.ledger.gaps import Found, Gap
from bihuan.loops import verify
from bihuan.loops.decisions import event_region
from bihuan.policy import pack as packs
from bihuan.policy.models import Event
from bihuan.regions import queries as regions

_LEAD = {
    "lead": pl.String, "root": pl.String, "lead_subject": pl.String, "key": pl.String, "lead_from": pl.Datetime("us", "UTC"),
    "lead_to": pl.Datetime("us", "UTC"), "lead_desk": pl.Int64, "lead_n": pl.Int64, "first_reported_at": pl.Datetime("us", "UTC"),
}  # fmt: skip


def _frame(sql: str, parameters: tuple, schema: dict) -> pl.DataFrame:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return pl.DataFrame(cursor.fetchall(), schema=schema, orient="row")


def leads_hold(now: datetime) -> Found:
    """Each person and arrival that reports tell of is one lead, and the lead says what its reports say."""
    gaps: list[Gap] = []
    looked = 0
    on = now.astimezone(clock.SHANGHAI).date()
    for event in Event.objects.values_list("id", flat=True):
        reports = reports_of(event, None)
        if reports.is_empty():
            continue
        gap = packs.in_force(event, regions.scope_of(event_region(event), on), on).lead.episode
        summary = summaries(islands(reports, gap))
        leads = _frame(
            """
            SELECT l.id::text, c.root::text, l.subject::text, l.key, l.arrived_from, l.arrived_to, l.desk, l.n_reports, l.first_reported_at
            FROM lead l JOIN cluster c ON c.subject = l.subject WHERE l.event = %s AND l.merged_into IS NULL AND l.n_reports > 0
            """,
            (event,),
            _LEAD,
        )
        looked += summary.height
        placed = leads_on_islands(leads, summary, gap).join(summary.select("root", "island", "desk", "n_reports"), on=["root", "island"])
        missing = summary.join(placed.select("root", "island"), on=["root", "island"], how="anti")
        gaps += [
            _gap("lead_missing", root, f"arrival {day}", "有名单、没有线索", "reported, but no lead")
            for root, day in missing.select("root", "first_day").iter_rows()
        ]
        doubled = placed.group_by("root", "island").len().filter(pl.col("len") > 1)
        gaps += [
            _gap("lead_double", root, f"{n} leads", "一次到达有几条线索", "several leads for one arrival")
            for root, n in doubled.select("root", "len").iter_rows()
        ]
        wrong = placed.filter(pl.col("desk").ne_missing(pl.col("lead_desk")) | (pl.col("n_reports") != pl.col("lead_n")))
        gaps += [
            _gap(
                "lead_wrong", root, f"desk {desk}/{lead_desk}, reports {n}/{lead_n}", "线索与名单不符", "the lead differs from its reports"
            )
            for root, desk, lead_desk, n, lead_n in wrong.select("root", "desk", "lead_desk", "n_reports", "lead_n").iter_rows()
        ]
        stray = leads.join(placed.select("lead"), on="lead", how="anti")
        gaps += [
            _gap("lead_wrong", root, f"lead {lead}", "线索没有名单", "a lead without a report")
            for lead, root in stray.select("lead", "root").iter_rows()
        ]
    return Found(looked, gaps)


def _gap(check: str, subject: str, what: str, zh: str, en: str) -> Gap:
    return Gap(check, what, f"{zh}（{what}）", f"{en} ({what})", subject=UUID(subject))


def links_hold(now: datetime) -> Found:
    """Links and clusters are what the evidence and the officers' decisions make them."""
    gaps = []
    for gap in identity.cluster_gaps():
        fields = dataclasses.asdict(gap)
        subject = next(iter(fields.values()))
        gaps.append(
            Gap("cluster_wrong", str(fields), "人员合并与关联记录不符", "the cluster differs from a recount of its links", subject=subject)
        )
    for gap in identity.link_gaps():
        fields = dataclasses.asdict(gap)
        subject = next(iter(fields.values()))
        gaps.append(Gap("link_wrong", str(fields), "关联与证据不符", "a link differs from what the evidence tells", subject=subject))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM cluster")
        n = cursor.fetchone()[0]
    return Found(n, gaps)


def files_hold(now: datetime) -> Found:
    """Rows in = new + changed + unchanged + duplicate + rejected, and each outcome is on a row of its own."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT f.id, f.n_rows, count(r.id) FILTER (WHERE true), f.created - count(r.id) FILTER (WHERE r.outcome = 'created'),
                   f.rejected - count(r.id) FILTER (WHERE r.outcome = 'rejected')
            FROM intake_file f LEFT JOIN intake_row r ON r.file = f.id WHERE f.state = 'done' GROUP BY f.id
            HAVING f.n_rows <> count(r.id) OR f.created <> count(r.id) FILTER (WHERE r.outcome = 'created')
                OR f.rejected <> count(r.id) FILTER (WHERE r.outcome = 'rejected')
            """
        )
        wrong = cursor.fetchall()
        cursor.execute(
            """
            SELECT r.file, r.no, r.subject FROM intake_row r WHERE r.outcome = 'created' AND NOT EXISTS (
              SELECT 1 FROM fact f WHERE f.subject = r.subject AND f.kind = 'leads.lead_reported') LIMIT 1000
            """
        )
        unknown = cursor.fetchall()
        cursor.execute("SELECT count(*) FROM intake_file WHERE state = 'done'")
        n = cursor.fetchone()[0]
    gaps = [
        Gap("file_accounts", f"file {f}: {rows} rows, {found} found", f"名单{f}的账对不上", f"the accounts of list {f} do not balance")
        for f, rows, found, *_ in wrong
    ]
    gaps += [
        Gap(
            "row_without_report",
            f"file {f} row {no}",
            f"名单{f}第{no}行记为新增却没有报告",
            f"row {no} of list {f} counts as new without a report",
            subject=s,
        )
        for f, no, s in unknown
    ]
    return Found(n, gaps)


verify.register("leads", leads_hold)
verify.register("links", links_hold)
verify.register("files", files_hold)
