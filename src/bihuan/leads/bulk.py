"""One thing said about many duties: judged row by row, previewed, done in parts, taken back as one.

A plan (`BulkAct`) fixes which duties and what is said of each; so what is done is what was shown, sent twice is once, and
what a killed process left is gone on with. Each part is one transaction of at most `PART_MAX` duties with an act of its
own; rows that may not change are refused by reason and the others are done. What can be said stands in `verbs`, what may
not be changed is found by `judge`.
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

from bihuan.access import scope
from bihuan.access.action import action
from bihuan.access.decide import require
from bihuan.access.door import engine
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.leads import facts
from bihuan.leads.judge import GIVEN, frame_of, given, judge, rows_of
from bihuan.leads.loops import VERIFY
from bihuan.leads.models import BulkAct
from bihuan.leads.verbs import VERBS, said_frame
from bihuan.ledger.kinds import FactKind
from bihuan.loops import decisions, handle, withdraw
from bihuan.loops.record import record_many
from bihuan.loops.writes import BULK_MAX, Handled
from bihuan.policy import pack as packs
from bihuan.regions import queries as regions

PART_MAX = 500  # duties in one transaction: well below two seconds also on a busy machine, done or taken back
_TARGETED = ("reassign", "offer", "return")


# --- what it records ------------------------------------------------------------------------------------------------

# The one start of the three clocks, as for a single act: the arrival where somebody was not here yet, else the assignment.
_STARTS = f"""
SELECT w.loop,
  (SELECT max(t.next_try_at) FROM cluster m JOIN fact f ON f.subject = m.subject AND f.event = w.event
   JOIN contact_tried t ON t.fact = f.id AND t.episode = w.key
   WHERE m.root = w.root AND t.next_try_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = f.id)),
  (SELECT min(v.opened_at) FROM cluster m JOIN loop v ON v.subject = m.subject AND v.kind = %(verify)s
   WHERE m.root = w.root AND v.key = w.key AND v.event = w.event)
FROM {GIVEN}
"""
_STARTS_SCHEMA = {"loop": pl.Int64, "moved": pl.Datetime("us", "UTC"), "opened": pl.Datetime("us", "UTC")}


def _started(rows: pl.DataFrame, now: datetime) -> pl.DataFrame:
    with engine():
        starts = frame_of(_STARTS, given(rows) | {"verify": VERIFY.name}, _STARTS_SCHEMA)
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
            distinct = said.group_by([*decisions.reads_of(fact), "region"], maintain_order=True).len().with_row_index("combo")
            scopes = regions.scopes_of(set(distinct["region"].to_list()), on)
            combos = [{**row, "scope": scopes[row["region"]]} for row in distinct.to_dicts()]
            n = {row["combo"]: row["len"] for row in combos}
            answers = decisions.decide(fact, combos, event, now)
            for combo, kind, *_more in answers.opens:
                opens[kind] += n[combo]
            closing = 0
            for combo, kind in answers.closes:
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
        last = rows_of("SELECT coalesce(max(id), 0) FROM movement")[0][0]
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
    keys = [key for (key,) in rows_of("SELECT DISTINCT pack FROM loop WHERE id = ANY(%s)", (list(loops[:100]),))]
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
    for loops, left in rows_of("SELECT cardinality(loops), refused FROM bulk_part WHERE act = %s ORDER BY no", (act,)):
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
        waived = said_frame(of.loops, of.said).filter(pl.col("verb") == "waive")
        second = len(waived) > 0 and needs_second(judge(by, waived, clock.now(), of.seen_movement))
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
    if rows_of("SELECT 1 FROM bulk_part WHERE act = %s AND no = %s", (act, no)):
        return 0
    now, part = clock.now(), ids.derived_id(act, "part", no)
    loops = rows["loop"].to_list()
    with engine():
        rows_of("SELECT id FROM loop WHERE id = ANY(%s) ORDER BY id FOR UPDATE", (loops,))
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
            record_many(fact, frame.with_columns(pl.Series("id", made)).drop("loop"), event=event, by=by, act=part)
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
        who = rows_of("SELECT name FROM officer WHERE id = %s", (proposer,)) if proposer else []
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
    found = rows_of("SELECT part, cardinality(loops), refused FROM bulk_part WHERE act = %s ORDER BY no DESC", (act,))
    left = [(part, n - sum(map(len, (json.loads(r) if isinstance(r, str) else r).values()))) for part, n, r in found]
    return [(part, n) for part, n in left if n]
