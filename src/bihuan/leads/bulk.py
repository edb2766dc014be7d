"""One thing said about many duties: judged row by row, previewed, done in parts, taken back as one.

A plan (`BulkAct`) fixes which duties and what is said of each; so what is done is what was shown, sent twice is once, and
what a killed process left is gone on with. Each part is one transaction of at most `PART_MAX` duties with an act of its
own; rows that may not change are refused by reason and the others are done.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import polars as pl
from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from bihuan.access import scope
from bihuan.access.action import action
from bihuan.access.decide import require
from bihuan.access.door import engine
from bihuan.access.permissions import Permission, Role
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.leads import facts
from bihuan.leads.loops import RESULT, SAMPLE, VERIFY
from bihuan.leads.models import BulkAct
from bihuan.ledger.kinds import FactKind
from bihuan.loops import handle, withdraw
from bihuan.loops import record as door
from bihuan.loops.writes import BULK_MAX, Handled
from bihuan.policy import pack as packs
from bihuan.regions import queries as regions

PART_MAX = 500  # duties in one transaction: well below two seconds also on a busy machine, done or taken back

SUPERIORS = (Role.CITY_DESK, Role.COUNTY_DESK, Role.TOWNSHIP_DESK)
_FOUND = [outcome.value for outcome in facts.Found]
_TRIED = [facts.Tried.NOT_REACHED.value, facts.Tried.WRONG_NUMBER.value, facts.Tried.NOT_AGREED.value]
_RESULTS = [result.value for result in facts.Result]


@dataclasses.dataclass(frozen=True)
class Verb:
    """What can be said about a duty.

    `on`: the kind of duty that it answers ("" = any); `fact`: what it records (None: a door of `handle` does it).
    """

    name: str
    title: Any
    permission: Permission
    on: str = ""
    fact: FactKind | None = None


VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb("here", _("人在家"), Permission.LEAD_VERIFY, VERIFY.name, facts.LEAD_VERIFIED),
        Verb("not_reached", _("没人接"), Permission.LEAD_VERIFY, VERIFY.name, facts.CONTACT_TRIED),
        Verb("wrong_number", _("号码不对"), Permission.LEAD_VERIFY, VERIFY.name, facts.CONTACT_TRIED),
        Verb("not_agreed", _("暂未配合"), Permission.LEAD_VERIFY, VERIFY.name, facts.CONTACT_TRIED),
        Verb("gone_on", _("已去别处"), Permission.LEAD_VERIFY, VERIFY.name, facts.LEAD_VERIFIED),
        Verb("will_not_come", _("不来了"), Permission.LEAD_VERIFY, VERIFY.name, facts.LEAD_VERIFIED),
        Verb("nothing_required", _("不用管"), Permission.LEAD_VERIFY, VERIFY.name, facts.LEAD_VERIFIED),
        Verb("sampled", _("已采样"), Permission.SAMPLE_RECORD, SAMPLE.name, facts.LEAD_SAMPLED),
        Verb("negative", _("结果阴性"), Permission.RESULT_RECORD, RESULT.name, facts.RESULT_RECORDED),
        Verb("initial_positive", _("初筛阳性（待复核）"), Permission.RESULT_RECORD, RESULT.name, facts.RESULT_RECORDED),
        Verb("invalid", _("无效，要重新采"), Permission.RESULT_RECORD, RESULT.name, facts.RESULT_RECORDED),
        Verb("assign", _("分派给本单位的人"), Permission.DUTY_MOVE),
        Verb("reassign", _("改派给下级单位"), Permission.DUTY_MOVE),
        Verb("offer", _("移交给别的单位"), Permission.DUTY_MOVE),
        Verb("return", _("退回上一级"), Permission.DUTY_MOVE),
        Verb("accept", _("接收"), Permission.DUTY_MOVE),
        Verb("decline", _("不接收，退回对方"), Permission.DUTY_MOVE),
        Verb("waive", _("免办"), Permission.DUTY_WAIVE),
    )
}
ANSWERS = [verb.name for verb in VERBS.values() if verb.fact is not None]
_CHANGES_HANDS = ("assign", "reassign", "offer", "return", "waive")
_TARGETED = ("reassign", "offer", "return")

# Why a row is left as it is. "same" is no refusal: what is said already stands.
WHY: dict[str, Any] = {
    "same": _("已经是这样，不用再改"),
    "duty_not_found": _("没有这件待办，或不归您管"),
    "closed_meanwhile": _("这期间已有别人办结"),
    "changed_meanwhile": _("刚有移交或改派，请看清再办"),
    "other_kind": _("这件事不是这一类，请另行办理"),
    "call_held": _("别人正在打这个电话，请稍后再记"),
    "since_missing": _("没有写哪天到的"),
    "since_future": _("到达日期在今天以后"),
    "listed_later": _("名单写的到达时间还没到，请单独核实"),
    "reason_missing": _("没有写原因"),
    "destination_missing": _("没有写去了哪里"),
    "time_future": _("采样时间还没到"),
    "duty_not_held": _("这件事现在不在您这里"),
    "officer_elsewhere": _("该人员不在承办单位任职"),
    "not_superior": _("只有上级可以直接改派，请用移交"),
    "already_offered": _("已在移交中，请等对方接收"),
    "offer_to_owner": _("这件事本来就在该单位"),
    "unit_not_found": _("没有这个单位，或不归您管；要交给别处请用移交"),
    "unit_ended": _("接收单位不存在或已撤销"),
    "not_offered": _("没有移交给您单位"),
    "offer_expired": _("移交已过时，请对方重新移交"),
    "number_unknown": _("这个编号不在这份清单里，或写错了"),
    "number_twice": _("同一个编号写了两次"),
    "answer_unreadable": _("结果看不懂"),
    "date_unreadable": _("日期看不懂"),
    "answer_missing": _("写了日期或原因，没有写结果"),
    "answer_unclear": _("请写明结果，例如“没人接”“人在家 27日”"),
    "number_missing": _("没有编号"),
    "left_blank": _("没有填，不变"),
    "answer_twice": _("这一行写了两种结果，请分两次交"),
}

_SAID = {
    "verb": pl.String, "since": pl.String, "reason": pl.String, "destination": pl.String, "medical": pl.String, "at": pl.String,
    "officer": pl.Int64, "unit": pl.Int64, "cell": pl.String,
}  # fmt: skip


def said_frame(loops: Sequence[int], said: Any) -> pl.DataFrame:
    """One row per duty in the order of the list: `no`, `loop` and what is said of it. `said`: an entry for all, or one each."""
    each = [said] * len(loops) if isinstance(said, Mapping) else list(said)
    columns = {name: pl.Series(name, [entry.get(name) for entry in each], dtype) for name, dtype in _SAID.items()}
    frame = pl.DataFrame({"no": pl.Series(range(1, len(loops) + 1), dtype=pl.Int64), "loop": pl.Series(loops, dtype=pl.Int64), **columns})
    return frame.with_columns(
        pl.col("since").str.to_date(strict=False),
        pl.col("at").str.to_datetime(time_zone="UTC", strict=False),
        *(pl.col(name).fill_null("") for name in ("reason", "destination", "cell")),
        pl.col("medical").fill_null(facts.MedicalNeed.NOT_ASKED.value),
    )


# --- what stands now ------------------------------------------------------------------------------------------------

_STATE = """
SELECT l.id, l.event, l.kind, l.subject::text, l.key, l.region, l.scope, l.owner, l.assignee, l.offered_to, l.offered_until, l.pack,
       l.closed_at IS NOT NULL, coalesce(c.root, l.subject)::text
FROM loop l LEFT JOIN cluster c ON c.subject = l.subject WHERE l.id = ANY(%(loops)s)
"""
_STATE_SCHEMA = {
    "loop": pl.Int64, "event": pl.Int64, "kind": pl.String, "subject": pl.String, "key": pl.String, "region": pl.Int64, "scope": pl.Int64,
    "owner": pl.Int64, "assignee": pl.Int64, "offered_to": pl.Int64, "offered_until": pl.Datetime("us", "UTC"), "pack": pl.String,
    "closed": pl.Boolean, "root": pl.String,
}  # fmt: skip
_GIVEN = "unnest(%(loop)s::bigint[], %(root)s::uuid[], %(key)s::text[], %(event)s::int[]) AS w(loop, root, key, event)"
_LEADS = f"""
SELECT DISTINCT ON (w.loop) w.loop, le.origin_class, le.arrived_to FROM {_GIVEN} JOIN cluster m ON m.root = w.root
JOIN lead le ON le.subject = m.subject AND le.key = w.key AND le.event = w.event AND le.merged_into IS NULL
ORDER BY w.loop, le.first_reported_at DESC
"""
_LEADS_SCHEMA = {"loop": pl.Int64, "origin_class": pl.String, "arrived_to": pl.Datetime("us", "UTC")}
# Somebody else is on the telephone with the person at this moment.
_HELD = f"""
SELECT DISTINCT w.loop FROM {_GIVEN} JOIN cluster m ON m.root = w.root JOIN fact f ON f.subject = m.subject AND f.event = w.event
JOIN call_started s ON s.fact = f.id AND s.episode = w.key
WHERE f.kind = 'leads.call_started' AND s.until_at > %(now)s AND (f."by", f.unit) <> (%(by)s, %(unit)s)
  AND NOT EXISTS (SELECT 1 FROM contact_tried t JOIN fact tf ON tf.id = t.fact
                  WHERE tf.subject = f.subject AND tf.unit = f.unit AND tf.received_at >= f.received_at)
  AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = f.id)
"""
# What closed the duties that are no longer open: by whom, when, and what it says.
_CLOSED = """
SELECT l.id, u.name, f.received_at, coalesce(v.outcome, CASE WHEN s.fact IS NOT NULL THEN 'sampled' END, r.result, l.outcome),
       coalesce(v.here_since::text, '')
FROM loop l JOIN fact f ON f.id = l.closed_by LEFT JOIN unit u ON u.id = f.unit LEFT JOIN lead_verified v ON v.fact = f.id
LEFT JOIN lead_sampled s ON s.fact = f.id LEFT JOIN result_recorded r ON r.fact = f.id WHERE l.id = ANY(%(loops)s)
"""
_CLOSED_SCHEMA = {
    "loop": pl.Int64, "their_unit": pl.String, "their_at": pl.Datetime("us", "UTC"), "their_answer": pl.String, "their_since": pl.String,
}  # fmt: skip


def _rows(sql: str, given: Mapping[str, Any] | Sequence[Any] = ()) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return cursor.fetchall()


def _frame(sql: str, given: Mapping[str, Any], schema: Mapping[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(_rows(sql, given), schema=dict(schema), orient="row")


def _given(frame: pl.DataFrame) -> dict[str, list]:
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
    state = _frame(_STATE, {"loops": said["loop"].to_list()}, _STATE_SCHEMA)
    frame = said.join(state, on="loop", how="left", maintain_order="left")
    verb = pl.col("verb")
    asked = frame.filter(verb.is_in(ANSWERS) & pl.col("root").is_not_null() & ~pl.col("closed"))
    leads = _frame(_LEADS, _given(asked), _LEADS_SCHEMA) if len(asked) else pl.DataFrame(schema=_LEADS_SCHEMA)
    calls = frame.filter(verb.is_in([*_FOUND, *_TRIED]) & pl.col("root").is_not_null() & ~pl.col("closed"))
    by_others = {"now": now, "by": by.officer_id, "unit": by.unit_id}
    held = [loop for (loop,) in _rows(_HELD, _given(calls) | by_others)] if len(calls) else []
    moving = frame.filter(verb.is_in(_CHANGES_HANDS))["loop"].to_list()
    moved = [loop for (loop,) in _rows(_MOVED, {"loops": moving, "seen": seen})] if moving else []
    ended = frame.filter(pl.col("closed"))["loop"].to_list()
    closed = _frame(_CLOSED, {"loops": ended}, _CLOSED_SCHEMA) if ended else pl.DataFrame(schema=_CLOSED_SCHEMA)
    for more in (leads, closed):
        frame = frame.join(more, on="loop", how="left", maintain_order="left")
    now_so = {"held": pl.col("loop").is_in(held), "overtaken": pl.col("loop").is_in(moved), "works_there": _works_there(frame)}
    frame = frame.with_columns(**now_so, lives=_living(frame, None), near=_living(frame, by.scope))
    return frame.with_columns(
        why=pl.coalesce(*(pl.when(when).then(pl.lit(code)) for code, when in _rules(by, now)), pl.lit(None, pl.String))
    )


def _works_there(frame: pl.DataFrame) -> pl.Series:
    """Whether the officer to whom a duty is to be given holds a post in the unit that owns it."""
    pairs = frame.select("officer", "owner").drop_nulls().unique()
    on = clock.today()
    known = (
        set(_rows("SELECT officer, unit FROM post WHERE officer = ANY(%s) AND valid @> %s::date", (pairs["officer"].to_list(), on)))
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
    lo, hi = within or (0, 10**18)
    alive = _rows(
        "SELECT u.id FROM unit u JOIN region_scope s ON s.region_id = u.region_id AND s.valid @> %(on)s::date"
        " WHERE u.id = ANY(%(units)s) AND u.valid @> %(on)s::date AND s.scope >= %(lo)s AND s.scope < %(hi)s",
        {"units": units, "on": clock.today(), "lo": lo, "hi": hi},
    )
    return frame["unit"].is_in([unit for (unit,) in alive]).fill_null(False)


def _rules(by, now: datetime) -> list[tuple[str, pl.Expr]]:
    """(code, when it applies) in the order in which they are said."""
    lo, hi = by.scope
    verb, unit, today = pl.col("verb"), by.unit_id, now.astimezone(clock.SHANGHAI).date()
    in_range = (pl.col("scope") >= lo) & (pl.col("scope") < hi)
    mine = pl.col("owner") == unit
    answers_it = pl.col("kind") == verb.replace_strict({v.name: v.on for v in VERBS.values()}, return_dtype=pl.String)
    agrees = (pl.col("their_answer") == verb) & ((verb != "here") | (pl.col("their_since") == pl.col("since").cast(pl.String)))
    superior = Role(by.role) in SUPERIORS
    told = pl.col("reason").str.strip_chars() != ""
    return [
        ("duty_not_found", pl.col("kind").is_null()),
        ("same", pl.col("closed") & (agrees | ((verb == "waive") & (pl.col("their_answer") == "waived")))),
        ("closed_meanwhile", pl.col("closed")),
        ("other_kind", verb.is_in(ANSWERS) & ~answers_it),
        ("duty_not_found", ~(in_range | mine | (pl.col("offered_to") == unit).fill_null(False))),
        ("changed_meanwhile", pl.col("overtaken")),
        ("call_held", pl.col("held")),
        ("duty_not_found", verb.is_in(ANSWERS) & pl.col("origin_class").is_null()),
        ("since_missing", (verb == "here") & pl.col("since").is_null()),
        ("since_future", (verb == "here") & (pl.col("since") > today)),
        ("listed_later", (verb == "here") & (pl.col("arrived_to") > now)),
        ("destination_missing", (verb == "gone_on") & (pl.col("destination").str.strip_chars() == "")),
        ("reason_missing", verb.is_in(["nothing_required", "not_agreed", "offer", "return", "decline", "reassign", "waive"]) & ~told),
        ("time_future", (verb == "sampled") & (pl.col("at") > now)),
        ("same", (verb == "assign") & pl.col("assignee").eq_missing(pl.col("officer"))),
        ("duty_not_held", verb.is_in(["assign", "offer", "return"]) & ~mine & ~in_range),
        ("officer_elsewhere", (verb == "assign") & pl.col("officer").is_not_null() & ~pl.col("works_there")),
        ("unit_ended", verb.is_in(["offer", "return"]) & ~pl.col("lives")),
        ("not_superior", (verb == "reassign") & (~in_range if superior else pl.lit(True))),
        ("unit_not_found", (verb == "reassign") & ~pl.col("near")),
        ("same", (verb == "reassign") & (pl.col("owner") == pl.col("unit"))),
        ("already_offered", verb.is_in(["offer", "return"]) & pl.col("offered_to").is_not_null()),
        ("offer_to_owner", verb.is_in(["offer", "return"]) & (pl.col("owner") == pl.col("unit"))),
        ("not_offered", (verb == "accept") & (pl.col("offered_to") != unit).fill_null(True)),
        ("offer_expired", (verb == "accept") & (pl.col("offered_until") <= now)),
        ("not_offered", (verb == "decline") & pl.col("offered_to").is_null()),
    ]


# --- what it records ------------------------------------------------------------------------------------------------

# The one start of the three clocks, as for a single act: the arrival where somebody was not here yet, else the assignment.
_STARTS = f"""
SELECT w.loop,
  (SELECT max(t.next_try_at) FROM cluster m JOIN fact f ON f.subject = m.subject AND f.event = w.event
   JOIN contact_tried t ON t.fact = f.id AND t.episode = w.key
   WHERE m.root = w.root AND t.next_try_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = f.id)),
  (SELECT min(v.opened_at) FROM cluster m JOIN loop v ON v.subject = m.subject AND v.kind = %(verify)s
   WHERE m.root = w.root AND v.key = w.key AND v.event = w.event)
FROM {_GIVEN}
"""
_STARTS_SCHEMA = {"loop": pl.Int64, "moved": pl.Datetime("us", "UTC"), "opened": pl.Datetime("us", "UTC")}


def _started(rows: pl.DataFrame, now: datetime) -> pl.DataFrame:
    with engine():
        starts = _frame(_STARTS, _given(rows) | {"verify": VERIFY.name}, _STARTS_SCHEMA)
    return rows.join(starts, on="loop", how="left", maintain_order="left").with_columns(
        assigned_at=pl.coalesce("moved", "opened", pl.lit(now).cast(pl.Datetime("us", "UTC")))
    )


def _of_unit(units: pl.Series, fn) -> pl.Expr:
    """A unit that answers for each owner (by its region): `fn(region)` once per owner."""
    found = {unit: fn(regions.unit_row(unit).region) for unit in units.unique().to_list()}
    return pl.col("owner").replace_strict(found, return_dtype=pl.Int64)


def details(fact: FactKind, rows: pl.DataFrame, now: datetime, *, started: bool = True) -> pl.DataFrame:
    """The rows of a fact for `record_many`. Without `started` the clocks begin now: enough to see what would follow."""
    moment = pl.lit(now).cast(pl.Datetime("us", "UTC"))
    base = [pl.col("loop"), pl.col("subject"), pl.col("region"), pl.col("key").alias("episode")]
    if fact is facts.CONTACT_TRIED:
        none = pl.lit(None, pl.Datetime("us", "UTC")).alias("next_try_at")
        return rows.select(*base, pl.col("verb").alias("outcome"), "reason", none, "origin_class")
    if fact is facts.RESULT_RECORDED:
        return rows.select(*base, pl.col("verb").alias("result"), pl.col("at").fill_null(moment).alias("resulted_at"))
    rows = _started(rows, now) if started else rows.with_columns(assigned_at=moment)
    if fact is facts.LEAD_SAMPLED:
        hears = _of_unit(rows["owner"], lambda region: regions.desk_of(3, region) or regions.city_desk(region))
        at, none = pl.col("at").fill_null(moment), pl.lit("")
        # Later entry of earlier work: it happened when the sample was taken.
        when = [at.alias("sampled_at"), at.alias("happened_at"), none.alias("place"), none.alias("tube")]
        return rows.select(*base, *when, "origin_class", "assigned_at", hears=hears)
    here = pl.when(pl.col("verb") == "here").then("since").alias("here_since")
    liaison = pl.when(pl.col("verb") == "gone_on").then(_of_unit(rows["owner"], regions.liaison_of)).otherwise(None)
    return rows.select(
        *base, pl.col("verb").alias("outcome"), here, "destination", "reason",
        pl.col("medical").alias("medical_need"), "origin_class", "assigned_at", pl.col("owner").alias("unit"), liaison=liaison,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Effects:
    """What would follow: duties closed, opened, changing hands, by kind; people to whom somebody is sent."""

    closes: dict[str, int]
    opens: dict[str, int]
    moves: dict[int, int]  # to which unit
    stays: int  # a try, an assignment: the duty stays where it is


def effects(judged: pl.DataFrame, now: datetime) -> Effects:
    """What the rows that will be done open, close and move, by the declarations of the duties and the rules in force."""
    closes: Counter[str] = Counter()
    opens: Counter[str] = Counter()
    moves: Counter[int] = Counter()
    stays = 0
    good = judged.filter(pl.col("why").is_null())
    on = now.astimezone(clock.SHANGHAI).date()
    for (name, event), rows in good.group_by("verb", "event", maintain_order=True):
        fact = VERBS[name].fact
        if fact is not None:
            said = details(fact, rows, now, started=False)
            distinct = said.group_by([*door.reads_of(fact), "region"], maintain_order=True).len().with_row_index("combo")
            scopes = regions.scopes_of(set(distinct["region"].to_list()), on)
            combos = [{**row, "scope": scopes[row["region"]]} for row in distinct.to_dicts()]
            n = {row["combo"]: row["len"] for row in combos}
            decisions = door.decide(fact, combos, event, now)
            for combo, kind, *_more in decisions.opens:
                opens[kind] += n[combo]
            closing = 0
            for combo, kind in decisions.closes:
                if kind == VERBS[name].on:
                    closes[kind] += n[combo]
                    closing += n[combo]
            stays += len(rows) - closing
        elif name == "waive":
            closes.update(rows["kind"].to_list())
        elif name in _TARGETED:
            moves.update(rows["unit"].to_list())
        else:
            stays += len(rows)
    return Effects(dict(closes), dict(opens), dict(moves), stays)


# --- the plan -------------------------------------------------------------------------------------------------------


@action
def plan(*, by, act: UUID, loops: Sequence[int], said: Any, number: int | None, seen_at: datetime, unread: Sequence[Mapping] = ()) -> UUID:
    """Keep what is to be said about which duties; changes nothing yet. Safe to repeat.

    Refuses: a verb that the post may not use, more than 10,000 duties, none at all.
    """
    if len(loops) > BULK_MAX:
        raise Refused("bulk_too_large", f"一次最多处理{BULK_MAX}件，请分批。", f"At most {BULK_MAX} at a time; please split.")
    if not loops and not unread:
        raise Refused("nothing_said", "没有写要改什么。", "Nothing is said about any duty.")
    for name in {said["verb"]} if isinstance(said, Mapping) else {entry["verb"] for entry in said}:
        require(by, VERBS[name].permission)
    now = clock.now()
    with engine():
        last = _rows("SELECT coalesce(max(id), 0) FROM movement")[0][0]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bulk_act (act, number, unit, scope, officer, made_at, ends_at, seen_at, loops, said, unread, seen_movement, state)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'planned') ON CONFLICT (act) DO NOTHING",
            (act, number, by.unit_id, by.scope[0], by.officer_id, now, kept_until(loops, now), seen_at, list(loops), json.dumps(said),
             json.dumps(list(unread)), last),
        )  # fmt: skip
    return act


def kept_until(loops: Sequence[int], now: datetime) -> datetime:
    """How long a list or draft is remembered: by the rules of its duties; without a rule to the end of the day."""
    keys = [key for (key,) in _rows("SELECT DISTINCT pack FROM loop WHERE id = ANY(%s)", (list(loops[:100]),))]
    spans = [span for key in keys if (span := packs.by_key(key).lead.list_kept) is not None]
    tomorrow = now.astimezone(clock.SHANGHAI).date() + timedelta(days=1)
    return now + min(spans) if spans else clock.day_start(tomorrow)


def is_bulk(act: UUID) -> bool:
    return BulkAct.objects.filter(act=act).exists()


def plan_of(act: UUID) -> BulkAct:
    found = BulkAct.objects.filter(act=act).first()
    if found is None:
        raise _no_such_act()
    return found


def _no_such_act() -> Refused:
    return Refused("act_not_found", "没有这次批量办理，或不归您管。", "There is no such bulk act, or it is not yours.")


def needs_second(judged: pl.DataFrame) -> bool:
    """Whether a second person must sign: more duties are waived at once than one signature may (pack)."""
    waived = judged.filter((pl.col("verb") == "waive") & pl.col("why").is_null())
    limits = [limit for key in waived["pack"].unique().to_list() if (limit := packs.by_key(key).lead.waive_alone) is not None]
    return bool(limits) and len(waived) > min(limits)


def _parts(said: pl.DataFrame) -> Iterator[tuple[int, str, pl.DataFrame]]:
    """(number, verb, rows) of each transaction: the same every time that the plan is read."""
    no = 0
    for name in VERBS:
        rows = said.filter(pl.col("verb") == name)
        for part in rows.iter_slices(PART_MAX):
            no += 1
            yield no, name, part


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of a plan: duties done, and those left as they are, by reason."""

    n_done: int
    refused: dict[str, list[int]]


def report_of(act: UUID) -> Report:
    refused: dict[str, list[int]] = {}
    n = 0
    for loops, left in _rows("SELECT cardinality(loops), refused FROM bulk_part WHERE act = %s ORDER BY no", (act,)):
        left = json.loads(left) if isinstance(left, str) else left
        n += loops - sum(map(len, left.values()))
        for code, some in left.items():
            refused.setdefault(code, []).extend(some)
    return Report(n, refused)


@contextmanager
def _reading(by) -> Iterator[None]:
    with scope.acting(scope.of(by, read_only=True)), transaction.atomic():
        yield


@action
def begin(*, by, act: UUID) -> BulkAct:
    """The plan, from now on the actor's to do and to take back. Refuses: somebody else's (`act_not_found`), or one that needs a second
    person (`second_needed`: it is put before those who may sign).
    """
    of = plan_of(act)
    if of.state in ("done", "undone"):
        return of
    mine, second = by.officer_id == of.officer, False
    if of.state in ("planned", "proposed"):
        second = needs_second(judge(by, said_frame(of.loops, of.said), clock.now(), of.seen_movement))
    if not mine and of.state != "proposed" and by.officer_id != of.signed_by:
        raise _no_such_act()
    of.state = "proposed" if mine and second else "doing"
    with connection.cursor() as cursor:
        signer = None if of.state == "proposed" else by.officer_id
        cursor.execute("UPDATE bulk_act SET state = %s, signed_by = %s WHERE act = %s", (of.state, signer, act))
    return of


def perform(*, by, act: UUID) -> Report | Refused:
    """Do the plan, part by part; what was done before is not done again. Rows that may not change are left, by reason.

    Refuses as `begin`. A part in which everything is refused for one reason (a unit that has just ended) stops the rest.
    """
    of = begin(by=by, act=act)
    if isinstance(of, Refused):
        return of
    if of.state == "proposed":
        return Refused("second_needed", "件数多，已提交，等第二人签字。", "Submitted; there are so many that a second person must sign.")
    if of.state == "doing":
        proposer = of.officer if of.officer != by.officer_id else None
        for no, name, rows in _parts(said_frame(of.loops, of.said)):
            done = do_part(by=by, act=act, no=no, verb=name, rows=rows, seen=of.seen_movement, proposer=proposer)
            if isinstance(done, Refused):
                return done
        set_state(by=by, act=act, state="done")
    with _reading(by):
        return report_of(act)


@action
def set_state(*, by, act: UUID, state: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE bulk_act SET state = %s, done_at = coalesce(done_at, %s) WHERE act = %s", (state, clock.now(), act))


@action
def do_part(*, by, act: UUID, no: int, verb: str, rows: pl.DataFrame, seen: int, proposer: int | None) -> int:
    """One transaction: lock its duties, judge them again, do those that may change, keep what was refused and why."""
    require(by, VERBS[verb].permission)
    if _rows("SELECT 1 FROM bulk_part WHERE act = %s AND no = %s", (act, no)):
        return 0
    now, part = clock.now(), ids.derived_id(act, "part", no)
    loops = rows["loop"].to_list()
    with engine():
        _rows("SELECT id FROM loop WHERE id = ANY(%s) ORDER BY id FOR UPDATE", (loops,))
    found = judge(by, rows, now, seen)
    good = found.filter(pl.col("why").is_null())
    if len(good):
        _do(verb, good, by, part, now, proposer)
    left = found.filter(pl.col("why").is_not_null()).group_by("why", maintain_order=True).agg("loop")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bulk_part (act, no, part, verb, loops, refused) VALUES (%s, %s, %s, %s, %s, %s)",
            (act, no, part, verb, loops, json.dumps(dict(left.iter_rows()))),
        )
    return len(good)


def _do(name: str, good: pl.DataFrame, by, part: UUID, now: datetime, proposer: int | None) -> None:
    fact = VERBS[name].fact
    if fact is not None:
        for (event,), rows in good.group_by("event", maintain_order=True):
            frame = details(fact, rows, now)
            made = [str(ids.derived_id(part, fact.name, loop)) for loop in frame["loop"]]
            door.record_many(fact, frame.with_columns(pl.Series("id", made)).drop("loop"), event=event, by=by, act=part)
        return
    loops, first = good["loop"].to_list(), good.row(0, named=True)
    reason = first["reason"]
    if name == "assign":
        handle.assign(by=by, loops=loops, officer=first["officer"], act=part)
    elif name == "reassign":
        handle.reassign(by=by, loops=loops, to_unit=first["unit"], reason=reason, act=part)
    elif name in ("offer", "return"):
        handle.offer(by=by, loops=loops, to_unit=first["unit"], reason=reason, act=part)
    elif name == "accept":
        handle.accept(by=by, loops=loops, act=part)
    elif name == "decline":
        handle.return_(by=by, loops=loops, reason=reason, act=part)
    else:
        who = _rows("SELECT name FROM officer WHERE id = %s", (proposer,)) if proposer else []
        handle.waive(by=by, loops=loops, reason=f"{reason}（{who[0][0]}提出）" if who else reason, act=part)


@dataclasses.dataclass(frozen=True)
class TakenBack:
    n: int
    n_left: int


def take_back(*, by, act: UUID) -> TakenBack | Refused:
    """Take the whole back, the last part first: duties on which something rests by now are left and counted.

    Refuses: not one's own (`act_not_found`), or something rests on all of it (`rests_on_it`).
    """
    with _reading(by):
        if not is_bulk(act):
            return _no_such_act()
        parts = _done_parts(act)
    n, n_left, refusal = 0, 0, None
    for part, loops in parts:
        done = undo_part(by=by, part=part)
        if isinstance(done, Refused):
            if done.code != "rests_on_it":
                return done
            refusal, n_left = done, n_left + loops
        else:
            n, n_left = n + done.n, n_left + done.n_left
    if refusal is not None and n == 0:
        return refusal
    set_state(by=by, act=act, state="undone")
    return TakenBack(n, n_left)


@action
def undo_part(*, by, part: UUID) -> Handled:
    return withdraw.undo(by=by, act=part, leave_resting=True)


def _done_parts(act: UUID) -> list[tuple[UUID, int]]:
    """Parts that changed something, the last first, with how many duties each changed."""
    found = _rows("SELECT part, cardinality(loops), refused FROM bulk_part WHERE act = %s ORDER BY no DESC", (act,))
    left = [(part, n - sum(map(len, (json.loads(r) if isinstance(r, str) else r).values()))) for part, n, r in found]
    return [(part, n) for part, n in left if n]
