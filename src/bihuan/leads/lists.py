"""The lists of people who may have come from an affected place: what intake hands over, and what becomes of each row."""

from __future__ import annotations

from uuid import UUID

import polars as pl
from django.db import connection

from bihuan.access.door import engine
from bihuan.identity import keys
from bihuan.identity.match import match
from bihuan.intake import registry
from bihuan.intake.fingerprint import fingerprints
from bihuan.intake.places import resolver_of
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.leads import reconcile
from bihuan.leads.facts import LeadSource
from bihuan.policy.models import Event
from bihuan.policy.queries import plan
from bihuan.regions import queries as regions

UNCLASSIFIED = "unclassified"  # no risk list is loaded: the pack says what to do with such origins
COUNTY = 3

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('leads', %s))"


def take(*, by, event: int, source: str, file: int, act: UUID, rows: pl.DataFrame) -> pl.DataFrame:
    """Report a batch of checked rows; returns (no, outcome, subject), subject being the row's alias.

    created = a new lead; changed = a new report on a known lead; unchanged = the same report again; duplicate = the
    same person twice in this file.
    """
    with engine(), connection.cursor() as cursor:
        # Lists of an event are taken one batch at a time: what a row means depends on all rows before it.
        cursor.execute(_LOCK, (event,))
    batch_act = ids.derived_id(act, "batch", rows["no"][0])
    opened_on, region = Event.objects.values_list("opened_on", "region_id").get(id=event)
    today = clock.today()
    adult_years = plan(event, today).pack_for(regions.scope_of(region, today)).adult_years
    matched = match(rows, event=event, by=by, act=batch_act, adult_years=adult_years, on=opened_on)
    located = _located(rows.with_columns(subject=matched.aliases, root=matched.roots, source=pl.lit(source)), event)
    located = located.with_columns(report_key=_report_keys(located), first_new=pl.col("no").cast(pl.Int64))
    known = _known_reports(event, located["report_key"].to_list())
    first_here = pl.col("no") == pl.col("no").min().over("report_key")
    located = located.with_columns(is_known=pl.col("report_key").is_in(list(known)) | ~first_here)
    located = located.with_columns(seen=(pl.col("no") != pl.col("no").min().over("root")) | pl.col("root").is_in(list(_seen(file))))

    fresh = located.filter(~pl.col("is_known"))
    roots = sorted({*located["root"].to_list(), *_roots_of(matched.relinked, batch_act)})
    done = reconcile.reconcile(
        event, roots, fresh.with_columns(origin_class=pl.lit(UNCLASSIFIED)), by=by, act=batch_act, reports=_reports(fresh, file, act)
    )
    first_of_new = (
        done.of_report.filter(pl.col("island_new")).group_by("lead").agg(pl.col("first_new").min()).select(pl.col("first_new").alias("no"))
    )
    new_rows = set(first_of_new["no"].to_list())
    return located.select(
        "no",
        outcome=pl.when(pl.col("no").is_in(list(new_rows))).then(pl.lit("created"))
        .when(pl.col("seen")).then(pl.lit("duplicate"))
        .when(pl.col("is_known")).then(pl.lit("unchanged"))
        .otherwise(pl.lit("changed")),
        subject="subject",
    )  # fmt: skip


def _located(rows: pl.DataFrame, event: int) -> pl.DataFrame:
    """Add the unit of the village or township (`community`), the county's (`county`) and the origin's region."""
    resolver = resolver_of(event)
    districts = regions.by_division([c for c in rows["district_code"].unique().to_list() if c is not None])
    origins = regions.by_division([c for c in rows["origin_code"].unique().to_list() if c is not None])
    rows = rows.with_columns(
        district=_mapped("district_code", districts),
        origin_region=_mapped("origin_code", origins),
        origin=pl.col("origin").fill_null(""),
    )
    rows = rows.with_columns(place=resolver.resolve_all(rows["address"], rows["district"]))
    found = {r for r in rows["place"].unique().to_list() if r is not None} | set(districts.values())
    units = regions.units_for_regions(found)
    exact = {r: u for r, u in units.items() if resolver.place(r).level > COUNTY}
    wide = {r: u for r, u in units.items() if resolver.place(r).level == COUNTY}
    return rows.with_columns(community=_mapped("place", exact), county=pl.coalesce(_mapped("place", wide), _mapped("district", wide)))


def _mapped(column: str, table: dict[int, int]) -> pl.Expr:
    return pl.col(column).replace_strict(list(table), list(table.values()), default=None, return_dtype=pl.Int64)


def _report_keys(rows: pl.DataFrame) -> pl.Series:
    """What a report says, as a keyed number: who said it of whom, when from where to where."""
    said = rows.select(
        "source", "subject", "origin", "arrived_precision", *(pl.col(c).fill_null("") for c in ("phone", "name")),
        pl.col("arrived_at").dt.epoch("us").cast(pl.String).fill_null(""),
        *(pl.col(c).cast(pl.String).fill_null("") for c in ("community", "county")),
    )  # fmt: skip
    return pl.Series(fingerprints(said, keys.installation().derive("report"), tuple(said.columns)))


def _known_reports(event: int, report_keys: list[int]) -> set[int]:
    with engine(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT r.report_key FROM lead_reported r JOIN fact f ON f.id = r.fact
            WHERE r.report_key = ANY(%s) AND f.event = %s AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = f.id)
            """,
            (report_keys, event),
        )
        return {key for (key,) in cursor.fetchall()}


def _seen(file: int) -> set[str]:
    """Persons of earlier batches of this file."""
    with engine(), connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT c.root::text FROM intake_row r JOIN cluster c ON c.subject = r.subject WHERE r.file = %s", (file,))
        return {root for (root,) in cursor.fetchall()}


def _roots_of(relinked: list[str], act: UUID) -> set[str]:
    """The persons, as they are now, of aliases that were joined or parted by an act: both sides of a link that ended."""
    with engine(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT c.root::text FROM cluster c WHERE c.subject = ANY(%s::uuid[])
            UNION SELECT c.root::text FROM fact f JOIN link l ON l.ended_by = f.id JOIN cluster c ON c.subject IN (l.a, l.b)
            WHERE f.act = %s AND f.kind = 'identity.unlinked'
            """,
            (relinked, act),
        )
        return {root for (root,) in cursor.fetchall()}


def _reports(fresh: pl.DataFrame, file: int, act: UUID) -> pl.DataFrame:
    return fresh.select(
        "first_new", "subject", "source", "origin", "origin_region", "arrived_at", pl.col("arrived_precision").fill_null("none"),
        "community", "county", "report_key", "sheet", pl.col("row").cast(pl.Int64),
        id=pl.Series([str(ids.derived_id(act, "row", no)) for no in fresh["no"].to_list()], dtype=pl.String),
        region=pl.lit(None, pl.Int64), origin_class=pl.lit(UNCLASSIFIED), file=pl.lit(file), happened_at=pl.lit(clock.now()),
    )  # fmt: skip


def _suits(mapped: list) -> None:
    """Refuses a village's roll of households: who lives in a house is not somebody who came from an affected place."""
    for table, mapping in mapped:
        if "arrived_at" in mapping.fields or "origin" in mapping.fields or "remembered" in mapping.how.values():
            continue
        if any("户主" in column.header for column in table.columns):
            raise Refused(
                "list_of_households",
                "这像是人房台账（有“户主”，没有来源地和到达时间），不是待核查人员名单，没有读入，原件已保存；"
                "如确是名单，请告诉我们每一列是什么",
                "This looks like a roll of households (it has “户主”, and neither origins nor times of arrival), not a list of people to "
                "verify; nothing was taken from it and the file is kept. If it is a list all the same, say what its columns are",
                where=table.address(table.header_row, 0) if table.header_row else table.sheet or None,
            )


registry.register(
    registry.ListKind(
        "leads",
        title="待核查人员名单",
        sources={
            LeadSource.DATA_PUSH: "数据推送",
            LeadSource.UNIT_REPORT: "单位上报",
            LeadSource.COMMUNITY_SWEEP: "社区排查",
            LeadSource.TELECOM_REMINDER: "运营商提醒",
        },
        take=take,
        suits=_suits,
    )
)
