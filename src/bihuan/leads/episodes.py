"""Which reports of a person are about the same arrival. Pure, on frames."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from bihuan.kernel.clock import SHANGHAI

UNDATED = "undated"
# Whose word on the address counts more when two reports name two villages: who stood at the door, then the employer.
_TRUST = {"community": 0, "self": 1, "unit": 2, "data": 3, "telecom": 4}


def islands(reports: pl.DataFrame, gap: timedelta) -> pl.DataFrame:
    """Add `island` (number within the person) to reports with `root` and `arrived_at`.

    Arrivals of one person less than `gap` apart, directly or by way of others, are one. Reports without a time belong
    to the last dated arrival, or to one undated arrival of their own. The order of the rows does not matter.
    """
    far = pl.col("arrived_at").diff().over("root") >= gap
    dated = (
        reports.filter(pl.col("arrived_at").is_not_null())
        .sort("root", "arrived_at")
        .with_columns(island=far.fill_null(False).cast(pl.Int32).cum_sum().over("root"))
    )
    last = dated.group_by("root").agg(pl.col("island").max().alias("last"))
    undated = reports.filter(pl.col("arrived_at").is_null()).join(last, on="root", how="left")
    undated = undated.with_columns(island=pl.col("last").fill_null(0).cast(pl.Int32)).drop("last")
    return pl.concat([dated, undated.select(dated.columns)])


def summaries(reports: pl.DataFrame) -> pl.DataFrame:
    """One row per (root, island): the span, the key, and the best that the reports tell.

    `desk` is a village's if any report names one, else a county's, else null. Of several, the one whose source is
    trusted more, then the lowest number: the same whatever order the lists came in.
    """
    ranked = reports.with_columns(
        trust=pl.col("source").replace_strict(_TRUST, default=9, return_dtype=pl.Int32),
        exact=pl.when(pl.col("community").is_not_null()).then(0).when(pl.col("county").is_not_null()).then(1).otherwise(2),
        place=pl.coalesce("community", "county"),
    ).sort("exact", "trust", "place", "report_key", nulls_last=True)
    local_day = pl.col("arrived_at").dt.convert_time_zone(SHANGHAI.key).dt.strftime("%Y-%m-%d")
    return ranked.group_by("root", "island", maintain_order=True).agg(
        pl.col("arrived_at").min().alias("arrived_from"),
        pl.col("arrived_at").max().alias("arrived_to"),
        local_day.min().fill_null(UNDATED).alias("first_day"),
        local_day.max().fill_null(UNDATED).alias("last_day"),
        pl.col("place").first().alias("desk"),
        pl.col("exact").first().replace_strict({0: "village", 1: "county", 2: "none"}, return_dtype=pl.String).alias("precision"),
        pl.col("origin").filter(pl.col("origin") != "").first().fill_null("").alias("origin"),
        pl.col("origin_class").first(),
        pl.col("source").unique().sort().alias("sources"),
        pl.len().alias("n_reports"),
        pl.col("first_new").min(),
    )
