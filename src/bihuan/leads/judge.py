"""What stands now of many duties, and by which rules each may be changed: a frame in, a reason per row out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl
from django.db import connection

from bihuan.access.permissions import Role
from bihuan.kernel import clock
from bihuan.leads import facts
from bihuan.leads.verbs import ANSWERS, SUPERIORS, VERBS
from bihuan.loops.statement import kept

_FOUND = [outcome.value for outcome in facts.Found]
_TRIED = [facts.Tried.NOT_REACHED.value, facts.Tried.WRONG_NUMBER.value, facts.Tried.NOT_AGREED.value]
_CHANGES_HANDS = ("assign", "reassign", "offer", "return", "waive")

_STATE = """
SELECT l.id, l.event, l.kind, l.subject::text, l.key, l.region, l.scope, l.owner, l.assignee, l.offered_to, l.offered_until, l.pack,
       l.closed_at IS NOT NULL, coalesce(c.root, l.subject)::text
FROM loop l LEFT JOIN cluster c ON c.subject = l.subject WHERE l.id = ANY(%(loops)s::bigint[])
"""
_STATE_SCHEMA = {
    "loop": pl.Int64, "event": pl.Int64, "kind": pl.String, "subject": pl.String, "key": pl.String, "region": pl.Int64, "scope": pl.Int64,
    "owner": pl.Int64, "assignee": pl.Int64, "offered_to": pl.Int64, "offered_until": pl.Datetime("us", "UTC"), "pack": pl.String,
    "closed": pl.Boolean, "root": pl.String,
}  # fmt: skip
# The rows that `given` passes: duties that are there, by person, occurrence and event.
GIVEN = "unnest(%(loop)s::bigint[], %(root)s::uuid[], %(key)s::text[], %(event)s::int[]) AS w(loop, root, key, event)"
_LEADS = f"""
SELECT DISTINCT ON (w.loop) w.loop, le.origin_class, le.arrived_to FROM {GIVEN} JOIN cluster m ON m.root = w.root
JOIN lead le ON le.subject = m.subject AND le.key = w.key AND le.event = w.event AND le.merged_into IS NULL
ORDER BY w.loop, le.first_reported_at DESC
"""
_LEADS_SCHEMA = {"loop": pl.Int64, "origin_class": pl.String, "arrived_to": pl.Datetime("us", "UTC")}
# Somebody else is on the telephone with the person at this moment: from the calls under way, which are few, to the
# rows. OFFSET 0: each is looked up by itself; a join would read all that was ever tried or withdrawn.
_HELD = f"""
WITH calls AS MATERIALIZED (
  SELECT f.id, f.subject, f.event, f.received_at, f."by", f.unit, s.episode FROM call_started s JOIN fact f ON f.id = s.fact
  WHERE s.until_at > %(now)s AND (f."by", f.unit) <> (%(by)s, %(unit)s))
SELECT DISTINCT w.loop FROM calls JOIN cluster m ON m.subject = calls.subject
JOIN {GIVEN} ON w.root = m.root AND w.event = calls.event AND w.key = calls.episode
WHERE NOT EXISTS (SELECT 1 FROM contact_tried t JOIN fact tf ON tf.id = t.fact
                  WHERE tf.subject = calls.subject AND tf.unit = calls.unit AND tf.received_at >= calls.received_at OFFSET 0)
  AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = calls.id OFFSET 0)
"""
# What closed the duties that are no longer open: by whom, when, and what it says.
_CLOSED = """
SELECT l.id, u.name, f.received_at, coalesce(v.outcome, CASE WHEN s.fact IS NOT NULL THEN 'sampled' END, r.result, l.outcome),
       coalesce(v.here_since::text, '')
FROM loop l JOIN fact f ON f.id = l.closed_by LEFT JOIN unit u ON u.id = f.unit LEFT JOIN lead_verified v ON v.fact = f.id
LEFT JOIN lead_sampled s ON s.fact = f.id LEFT JOIN result_recorded r ON r.fact = f.id WHERE l.id = ANY(%(loops)s::bigint[])
"""
_CLOSED_SCHEMA = {
    "loop": pl.Int64, "their_unit": pl.String, "their_at": pl.Datetime("us", "UTC"), "their_answer": pl.String, "their_since": pl.String,
}  # fmt: skip


def rows_of(sql: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def frame_of(sql: str, parameters: Mapping[str, Any], schema: Mapping[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(kept(sql, parameters)[1], schema=dict(schema), orient="row")


def given(frame: pl.DataFrame) -> dict[str, list]:
    return {name: frame[name].to_list() for name in ("loop", "root", "key", "event")}


# Duties that changed hands after the plan was made: whoever made it has not seen that.
_MOVED = """
SELECT DISTINCT loop FROM movement WHERE loop = ANY(%(loops)s) AND id > %(seen)s
AND what IN ('offered', 'accepted', 'returned', 'reassigned')
"""


def judge(by, said: pl.DataFrame, now: datetime, seen: int) -> pl.DataFrame:
    """`said` with what stands now beside it, and `why`: null = it will be done, else the reason why the row stays as it is.

    Reads in the scope of whoever asks: what is out of sight is not there. Costs the same number of statements for one
    duty as for ten thousand. The rules are those by which a single act is refused, and two more that protect a person
    from a list: somebody else is calling right now, or the list expects the person later. `seen`: the last movement before the plan.
    """
    state = frame_of(_STATE, {"loops": said["loop"].to_list()}, _STATE_SCHEMA)
    frame = said.join(state, on="loop", how="left", maintain_order="left")
    verb = pl.col("verb")
    asked = frame.filter(verb.is_in(ANSWERS) & pl.col("root").is_not_null() & ~pl.col("closed"))
    leads = frame_of(_LEADS, given(asked), _LEADS_SCHEMA) if len(asked) else pl.DataFrame(schema=_LEADS_SCHEMA)
    calls = frame.filter(verb.is_in([*_FOUND, *_TRIED]) & pl.col("root").is_not_null() & ~pl.col("closed"))
    by_others = {"now": now, "by": by.officer_id, "unit": by.unit_id}
    held = [loop for (loop,) in kept(_HELD, given(calls) | by_others)[1]] if len(calls) else []
    moving = frame.filter(verb.is_in(_CHANGES_HANDS))["loop"].to_list()
    moved = [loop for (loop,) in rows_of(_MOVED, {"loops": moving, "seen": seen})] if moving else []
    ended = frame.filter(pl.col("closed"))["loop"].to_list()
    closed = frame_of(_CLOSED, {"loops": ended}, _CLOSED_SCHEMA) if ended else pl.DataFrame(schema=_CLOSED_SCHEMA)
    for more in (leads, closed):
        frame = frame.join(more, on="loop", how="left", maintain_order="left")
    now_so = {"held": pl.col("loop").is_in(held), "overtaken": pl.col("loop").is_in(moved), "works_there": _works_there(frame)}
    verbs = set(said["verb"].unique())
    frame = frame.with_columns(**now_so, lives=_living(frame, None), near=_living(frame, by.scope))
    return frame.with_columns(
        why=pl.coalesce(*(pl.when(when).then(pl.lit(code)) for code, when in _rules(by, now, verbs)), pl.lit(None, pl.String))
    )


def _works_there(frame: pl.DataFrame) -> pl.Series:
    """Whether the officer to whom a duty is to be given holds a post in the unit that owns it."""
    pairs = frame.select("officer", "owner").drop_nulls().unique()
    on = clock.today()
    known = (
        set(rows_of("SELECT officer, unit FROM post WHERE officer = ANY(%s) AND valid @> %s::date", (pairs["officer"].to_list(), on)))
        if len(pairs)
        else set()
    )
    holds = pairs.with_columns(holds=pl.Series([pair in known for pair in pairs.iter_rows()], dtype=pl.Boolean))
    return (
        frame.select("officer", "owner").join(holds, on=["officer", "owner"], how="left", maintain_order="left")["holds"].fill_null(False)
    )


def _living(frame: pl.DataFrame, within: tuple[int, int] | None) -> pl.Series:
    """Whether the unit that is to have a duty is there today, and within a range where one is asked for."""
    units = frame["unit"].drop_nulls().unique().to_list()
    if not units:
        return pl.Series([False]).new_from_index(0, len(frame))
    lo, hi = within or (0, 10**18)
    alive = rows_of(
        "SELECT u.id FROM unit u JOIN region_scope s ON s.region_id = u.region_id AND s.valid @> %(on)s::date"
        " WHERE u.id = ANY(%(units)s) AND u.valid @> %(on)s::date AND s.scope >= %(lo)s AND s.scope < %(hi)s",
        {"units": units, "on": clock.today(), "lo": lo, "hi": hi},
    )
    return frame["unit"].is_in([unit for (unit,) in alive]).fill_null(False)


def _rules(by, now: datetime, verbs: set[str]) -> list[tuple[str, pl.Expr]]:
    """(code, when it applies) in the order in which they are said; those that concern these verbs."""
    lo, hi = by.scope
    verb, unit, today = pl.col("verb"), by.unit_id, now.astimezone(clock.SHANGHAI).date()
    in_range = (pl.col("scope") >= lo) & (pl.col("scope") < hi)
    mine = pl.col("owner") == unit
    answers_it = pl.col("kind") == verb.replace_strict({v.name: v.on for v in VERBS.values()}, return_dtype=pl.String)
    agrees = (pl.col("their_answer") == verb) & ((verb != "here") | (pl.col("their_since") == pl.col("since").cast(pl.String)))
    superior = Role(by.role) in SUPERIORS
    told = pl.col("reason").str.strip_chars() != ""
    offering, reasoned = ("offer", "return"), ("nothing_required", "not_agreed", "offer", "return", "decline", "reassign", "waive")
    rules: list[tuple[str, Sequence[str], pl.Expr]] = [  # code, of which verbs (none: of all), when
        ("duty_not_found", (), pl.col("kind").is_null()),
        ("same", (), pl.col("closed") & (agrees | ((verb == "waive") & (pl.col("their_answer") == "waived")))),
        ("closed_meanwhile", (), pl.col("closed")),
        ("other_kind", ANSWERS, ~answers_it),
        ("duty_not_found", (), ~(in_range | mine | (pl.col("offered_to") == unit).fill_null(False))),
        ("changed_meanwhile", (), pl.col("overtaken")),
        ("call_held", (), pl.col("held")),
        ("duty_not_found", ANSWERS, pl.col("origin_class").is_null()),
        ("since_missing", ("here",), pl.col("since").is_null()),
        ("since_future", ("here",), pl.col("since") > today),
        ("listed_later", ("here",), pl.col("arrived_to") > now),
        ("destination_missing", ("gone_on",), pl.col("destination").str.strip_chars() == ""),
        ("reason_missing", reasoned, ~told),
        ("time_future", ("sampled",), pl.col("at") > now),
        ("same", ("assign",), pl.col("assignee").eq_missing(pl.col("officer"))),
        ("duty_not_held", ("assign", *offering), ~mine & ~in_range),
        ("officer_elsewhere", ("assign",), pl.col("officer").is_not_null() & ~pl.col("works_there")),
        ("unit_ended", offering, ~pl.col("lives")),
        ("not_superior", ("reassign",), ~in_range if superior else pl.lit(True)),
        ("unit_not_found", ("reassign",), ~pl.col("near")),
        ("same", ("reassign",), pl.col("owner") == pl.col("unit")),
        ("already_offered", offering, pl.col("offered_to").is_not_null()),
        ("offer_to_owner", offering, pl.col("owner") == pl.col("unit")),
        ("not_offered", ("accept",), (pl.col("offered_to") != unit).fill_null(True)),
        ("offer_expired", ("accept",), pl.col("offered_until") <= now),
        ("not_offered", ("decline",), pl.col("offered_to").is_null()),
    ]
    concern = [(code, of, when) for code, of, when in rules if not of or verbs.intersection(of)]
    return [(code, verb.is_in(list(of)) & when if of else when) for code, of, when in concern]
