"""乱序重发：几台设备的记录重复、乱序、拆开、钟不准，最后都是一个样 / repeated, reordered, split, wrong clocks: one state in the end.

A seed is a few people and three to eight records about them. Once they are said one after the other, with a right clock. Then
as devices send them that were out of reach: in another order, some several times, in batches split anywhere, with clocks that
are days off or stand in 1970. What one saw before one acted comes before (nobody samples whom nobody has verified); all else may
come as it likes. Duties, deadlines, calls for help, counts and who may see whom must be the same. Two records with one id and
other content are not tried here: which of them counts is for a person to settle.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from drills import house
from drills.harness import Drill

OPTIONS = {
    "seeds": (10_000, "多少个随机种子 / how many seeds"),
    "seed": (1, "从哪个种子起 / the first seed"),
}
PEOPLE = 5  # the last two are aliases of one person
DEVICES = 20
BATCH_MAX = 4
OFF = (timedelta(days=-3), timedelta(days=3))  # a device's clock
RESENT = 0.4  # of the records come again


@dataclass(frozen=True)
class Said:
    """A record as some device sends it. `after`: numbers of the records that its maker had seen."""

    no: int
    id: UUID
    kind: Any
    subject: UUID
    details: Any
    device: int
    happened_at: datetime
    after: tuple[int, ...] = ()


class World:
    """People of the demonstration's city, a village's desk, and what they may say."""

    def __init__(self) -> None:
        from django.db import connection, transaction

        from bihuan.access import queries as access
        from bihuan.access.door import engine
        from bihuan.kernel import clock, ids
        from bihuan.loops import declare
        from bihuan.loops.decisions import event_region, write_ladders
        from bihuan.policy import pack as packs
        from bihuan.regions import queries as regions
        from bihuan.site import demo

        self.event, self.now = demo.event(), clock.now()
        self.post = access.post_of("cun")
        self.hears = access.post_of("xian").unit_id
        self.people = sorted(ids.new_id() for _ in range(PEOPLE))
        root = {**{p: p for p in self.people}, self.people[-1]: self.people[-2]}
        with transaction.atomic(), engine(), connection.cursor() as cursor:
            cursor.execute("INSERT INTO subject (id, kind) SELECT unnest(%s::uuid[]), 'person'", [self.people])
            cursor.execute(
                "INSERT INTO cluster (subject, root) SELECT * FROM unnest(%s::uuid[], %s::uuid[])",
                [self.people, [root[p] for p in self.people]],
            )
        pack = packs.in_force(self.event, regions.scope_of(event_region(self.event), clock.today()), clock.today())
        with transaction.atomic(), engine():  # once and for all: what a seed writes is taken back
            write_ladders({(pack.key, k.name): tuple(k.ladder(pack)) for k in declare.kinds().values()})

    def said(self, dice: random.Random) -> list[Said]:
        """Three to eight records: chains of what happened to some people."""
        from bihuan.kernel import ids
        from bihuan.leads import facts

        made: list[Said] = []
        off = {
            d: dice.choice((timedelta(0), timedelta(seconds=dice.uniform(OFF[0].total_seconds(), OFF[1].total_seconds()))))
            for d in range(DEVICES)
        }
        stopped = dice.randrange(DEVICES)  # its clock stands at the beginning of 1970

        def say(kind: Any, subject: UUID, details: Any, *after: int) -> int:
            device = dice.randrange(DEVICES)
            at = datetime(1970, 1, 1, 0, 0, len(made), tzinfo=UTC) if device == stopped else self.now + off[device]
            id = ids.derived_id(ids.new_id(at), dice.random())
            made.append(Said(len(made), id, kind, subject, details, device, at, after))
            return len(made) - 1

        def report(subject: UUID) -> int:
            key = dice.getrandbits(60)
            return say(facts.LEAD_REPORTED, subject, facts.LeadReported(
                source=dice.choice(list(facts.LeadSource)), origin="上海市", origin_region=None, origin_class="low", arrived_at=None,
                arrived_precision="none", community=self.post.unit_id, county=None, desk=self.post.unit_id, episode="e", report_key=key,
                file=None, sheet="", row=None,
            ))  # fmt: skip

        def tried(subject: UUID, after: int) -> int:
            return say(facts.CONTACT_TRIED, subject, facts.ContactTried("e", facts.Tried.NOT_REACHED, "", None, "low"), after)

        def verified(subject: UUID, after: int) -> int:
            return say(facts.LEAD_VERIFIED, subject, facts.LeadVerified(
                episode="e", outcome=facts.Found.HERE, here_since=date(2022, 8, 27), destination="", reason="",
                medical_need=facts.MedicalNeed.NONE, origin_class="low", assigned_at=self.now, unit=self.post.unit_id, liaison=None,
            ), after)  # fmt: skip

        def sampled(subject: UUID, after: int) -> int:
            return say(facts.LEAD_SAMPLED, subject, facts.LeadSampled("e", self.now, "上门", "", "low", self.now, self.hears), after)

        def resulted(subject: UUID, after: int) -> int:
            return say(facts.RESULT_RECORDED, subject, facts.ResultRecorded("e", dice.choice(list(facts.Result)), self.now), after)

        wanted = dice.randint(3, 8)
        while len(made) < wanted:
            subject = dice.choice(self.people)
            last = report(subject)
            for step in (tried, report, verified, sampled, resulted)[: dice.randint(0, 5)]:
                if len(made) >= wanted:
                    break
                if step is report:  # another list names the person, whenever
                    report(subject)
                else:
                    last = step(subject, last)
        return made


def order_of(said: list[Said], dice: random.Random) -> list[list[Said]]:
    """Uploads: an order that keeps what was seen before what was done, copies anywhere later, batches of one kind."""
    waiting, order = list(said), []
    while waiting:
        ready = [s for s in waiting if not any(w.no in s.after for w in waiting)]
        order.append(dice.choice(ready))
        waiting.remove(order[-1])
    for again in [s for s in said if dice.random() < RESENT]:
        order.insert(dice.randint(order.index(again) + 1, len(order)), again)
    batches: list[list[Said]] = []
    for one in order:
        fits = batches and batches[-1][0].kind is one.kind and len(batches[-1]) < BATCH_MAX and one not in batches[-1]
        if fits and dice.random() < 0.6:
            batches[-1].append(one)
        else:
            batches.append([one])
    return batches


def send(world: World, batches: list[list[Said]], right_clock: bool) -> None:
    import polars as pl

    from bihuan.loops.record import record, record_many

    for batch in batches:
        if len(batch) == 1:
            one = batch[0]
            record(one.kind, event=world.event, subject=one.subject, details=one.details, by=world.post, id=one.id,
                   happened_at=world.now if right_clock else one.happened_at, device=None if right_clock else one.device)  # fmt: skip
            continue
        kind = batch[0].kind
        columns = {f.name: [getattr(getattr(s.details, f.name), "value", getattr(s.details, f.name)) for s in batch] for f in kind.fields}
        types = {"timestamptz": pl.Datetime("us", "UTC"), "bigint": pl.Int64, "int": pl.Int64, "text": pl.String, "date": pl.Date}
        schema = {f.name: types[f.sql_type] for f in kind.fields if f.sql_type in types}
        frame = pl.DataFrame(
            {"id": [str(s.id) for s in batch], "subject": [str(s.subject) for s in batch], "happened_at": [s.happened_at for s in batch],
             "device": [s.device for s in batch], **columns},
            schema_overrides=schema | {"happened_at": types["timestamptz"]},
        )  # fmt: skip
        record_many(kind, frame, event=world.event, by=world.post, act=batch[0].id)


# What must be the same: of two records that say the same, which came first is not.
_STATE = """
SELECT 'record ' || id || ' ' || kind FROM fact WHERE subject = ANY(%(p)s)
UNION ALL SELECT 'conflict ' || fact FROM conflict
UNION ALL SELECT concat_ws(' ', 'duty', l.kind, c.root, l.key, l.owner, l.scope, l.due_at, l.pack, l.outcome, t.bucket, t.level, t.later)
  FROM loop l JOIN cluster c ON c.subject = l.subject LEFT JOIN timer t ON t.loop = l.id WHERE l.subject = ANY(%(p)s)
UNION ALL SELECT concat_ws(' ', 'counts', unit, kind, sum(opened), sum(closed), sum(late)) FROM tally_delta GROUP BY unit, kind
UNION ALL SELECT concat_ws(' ', 'sees', subject, scope, unit) FROM visible WHERE subject = ANY(%(p)s)
ORDER BY 1
"""


def state_after(world: World, batches: list[list[Said]], right_clock: bool) -> list[str]:
    """What is so in the end; nothing of it stays."""
    from django.db import connection, transaction

    with transaction.atomic():
        send(world, batches, right_clock)
        with connection.cursor() as cursor:
            cursor.execute(_STATE, {"p": world.people})
            found = [text for (text,) in cursor.fetchall()]
        transaction.set_rollback(True)
    return found


def run(drill: Drill) -> None:
    from bihuan.site import setup

    with setup.acting("work"):
        world = World()
        wrong: list[str] = []
        n_records = n_sent = 0
        began = time.monotonic()
        for no in range(drill.seed, drill.seed + drill.seeds):
            dice = random.Random(no)
            said = world.said(dice)
            uploads = order_of(said, dice)
            n_records, n_sent = n_records + len(said), n_sent + sum(map(len, uploads))
            try:
                plain = state_after(world, [[s] for s in said], True)
                mixed = state_after(world, uploads, False)
            except Exception as error:  # told with its seed
                wrong.append(f"seed {no}: {type(error).__name__}: {error}")
                continue
            if plain != mixed:
                wrong.append(f"seed {no}: {sorted(set(plain) ^ set(mixed))[:6]}")
            if (no - drill.seed + 1) % 1000 == 0:
                drill.say(f"{no - drill.seed + 1:,} seeds, {len(wrong)} differ, {time.monotonic() - began:.0f} s")
        took = time.monotonic() - began
    drill.figures |= {
        "seeds": drill.seeds, "records": n_records, "sent": n_sent, "differ": len(wrong), "seeds a second": round(drill.seeds / took, 1),
    }  # fmt: skip
    drill.must("every order ends in one state", wrong)
    drill.must("something was tried", drill.seeds > 0 and n_sent > n_records)
    drill.must("nothing was left behind", house.one("SELECT count(*) FROM fact WHERE subject = ANY(%s)", world.people) == 0)
