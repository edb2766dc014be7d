"""Random days of a small city, against a model in memory that knows only the declarations and the rules of duties.

After each step the duties, timers and calls for help in the database are those of the model, `verify` finds nothing, and
what was acknowledged is there once (I1 to I6, I10, I12, as far as they concern duties; the accounts balance).
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import hypothesis.strategies as st
import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from bihuan.kernel import clock as product_clock
from bihuan.kernel import ids
from bihuan.kernel.refused import Refused
from bihuan.loops import declare, facts, handle, tallies, verify, withdraw
from bihuan.loops.decisions import deadline
from bihuan.loops.record import record, record_many
from bihuan.loops.tick import tick
from bihuan.policy import pack as packs
from bihuan.site import roles, setup

_spec = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
if "toy" not in sys.modules:
    sys.modules["toy"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["toy"])
toy = sys.modules["toy"]

N_PEOPLE = 5
EMPTIED = (
    "subject, cluster, visible, fact, conflict, contradicted, loop, movement, timer, fired, tally, tally_delta, handled,"
    " toy_seen, toy_told, toy_met"
)


# --- the model --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Duty:
    kind: declare.LoopKind
    subject: UUID
    key: str
    owner: int
    due_at: datetime | None
    opened_at: datetime
    opened_by: UUID
    pack: object
    no: int
    assignee: int | None = None
    offered_to: int | None = None
    offered_until: datetime | None = None
    closed_by: UUID | None = None
    closed_at: datetime | None = None
    outcome: str | None = None
    accepted: bool = False
    offered: bool = False  # once, whatever became of it
    timer: tuple[datetime, int] | None = None
    stands: Duty | None = None
    successor: Duty | None = None
    moves: list[UUID] = dataclasses.field(default_factory=list)  # acts, in order

    @property
    def is_open(self) -> bool:
        return self.outcome is None

    @property
    def name(self) -> tuple:
        return (self.opened_by, self.kind.name, self.subject, self.key)

    @property
    def rungs(self) -> tuple:
        return tuple(self.kind.ladder(self.pack)) if self.due_at is not None else ()

    def start_timer(self) -> None:
        self.timer = (self.pack.asks_at(self.due_at, self.rungs[0]), 1) if self.rungs else None

    def end(self, outcome: str, fact: UUID, act: UUID) -> None:
        self.closed_at = product_clock.now()
        self.outcome, self.closed_by, self.timer, self.offered_to, self.offered_until = outcome, fact, None, None, None
        self.moves.append(act)


@dataclasses.dataclass
class Fact:
    id: UUID
    kind: object
    subject: UUID
    details: object
    act: UUID
    by: object
    at: datetime
    voided: bool = False
    opens: tuple = ()  # kinds of duties, by the rules of the moment at which it was heard

    @property
    def key(self) -> str:
        return getattr(self.details, self.kind.key) if self.kind.key else ""


class Model:
    """What must be so. Time, owners and packs come from outside; the rest from the declarations."""

    def __init__(self, town, above: dict) -> None:
        self.town, self.above = town, above
        self.facts: dict[UUID, Fact] = {}
        self.duties: list[Duty] = []
        self.fired: set[tuple] = set()
        self.root: dict[UUID, UUID] = {}
        self.n_conflicts = 0

    def now(self) -> datetime:
        return product_clock.now()

    def person(self, subject: UUID) -> set[UUID]:
        return {s for s, root in self.root.items() if root == self.root[subject]}

    def open_duties(self) -> list[Duty]:
        return [d for d in self.duties if d.is_open]

    def twins(self, kind, key: str, subject: UUID) -> list[Duty]:
        members = self.person(subject)
        return [d for d in self.duties if d.kind is kind and d.key == key and d.subject in members]

    def append(self, kind, rows: list[tuple[UUID, UUID, object]], act: UUID, by) -> int:
        """Facts of one kind in one statement; returns how many were new. All is decided by what was so before."""
        now = self.now()
        on = now.astimezone(product_clock.SHANGHAI).date()
        pack = packs.in_force(self.town.event, 320700000000000, on)
        context = declare.Context(pack=pack, now=now, event=self.town.event, city_desk=self.town.city.unit_id)
        new = []
        for id, subject, details in rows:
            known = self.facts.get(id)
            if known is not None:
                self.n_conflicts += (known.subject, known.details) != (subject, details)
                continue
            new.append(Fact(id, kind, subject, details, act, by, now))
        wanted: dict[tuple, tuple] = {}
        ends: dict[int, Fact] = {}
        extends: dict[int, tuple] = {}
        for fact in sorted(new, key=lambda f: f.id):
            self.facts[fact.id] = fact
            values = {**dataclasses.asdict(fact.details), "received_at": now}
            for loop in declare.opened_by(kind):
                when = loop.opens[kind]
                standing = [d for d in self.twins(loop, fact.key, fact.subject) if d.is_open or (fact.key and d.outcome != "void")]
                if not when.fn(*(values[r] for r in when.reads), context):
                    continue
                fact.opens += (loop,)
                if not standing:
                    owner = loop.owner.fn(*(values[r] for r in loop.owner.reads), context) or context.city_desk
                    due_at = deadline(loop, values, context)
                    of = (loop.name, self.root[fact.subject], fact.key)
                    if of not in wanted or (due_at, fact.id) < wanted[of][:2]:
                        wanted[of] = (due_at or now, fact.id, loop, fact, owner, due_at)
            for loop in declare.closed_by(kind):
                when = loop.closes[kind]
                if when.fn(*(values[r] for r in when.reads), context):
                    for duty in self.twins(loop, fact.key, fact.subject):
                        if duty.is_open:
                            ends.setdefault(duty.no, fact)
            for loop in declare.extended_by(kind):
                start = values[loop.extends[kind]]
                if start is not None:
                    due_at = deadline(loop, {**values, loop.due.base: start}, context)
                    for duty in self.twins(loop, fact.key, fact.subject):
                        if duty.is_open and (duty.no not in extends or extends[duty.no][0] < due_at):
                            extends[duty.no] = (due_at, fact)
        for duty in self.open_duties():
            if duty.no in ends:
                duty.end("met", ends[duty.no].id, act)
            elif duty.no in extends:
                duty.due_at = extends[duty.no][0]
                duty.start_timer()
                duty.moves.append(act)
        for _, _, loop, fact, owner, due_at in wanted.values():
            self.open(loop, fact.subject, fact.key, owner, due_at, fact.id, pack, act)
        return len(new)

    def unanswered(self) -> set[UUID]:
        """Standing facts whose duty nobody owes, has met or is excused from: a withdrawal or a parting left them behind."""
        found = set()
        for fact in self.facts.values():
            for loop in () if fact.voided else fact.opens:
                for duty in self.twins(loop, fact.key, fact.subject):
                    if duty.is_open or ((duty.outcome != "void" or duty.stands is not None) and (fact.key or duty.closed_at >= fact.at)):
                        break
                else:
                    found.add(fact.id)
        return found

    def open(self, kind, subject, key, owner, due_at, opened_by, pack, act) -> Duty:
        duty = Duty(kind, subject, key, owner, due_at, self.now(), opened_by, pack, len(self.duties))
        duty.start_timer()
        duty.moves.append(act)
        self.duties.append(duty)
        return duty

    def touched(self, duty: Duty, was: dict[UUID, UUID] | None = None) -> bool:
        """`was`: whose the aliases were that have just moved; what was done for the one is not done for the other."""
        was, own = was or {}, duty.subject
        about = {s for s in self.person(own) if was.get(s, self.root[s]) == was.get(own, self.root[own])}
        works = [f for f in self.facts.values() if f.kind in duty.kind.works and not f.voided and f.at >= duty.opened_at]
        return duty.assignee is not None or duty.accepted or any(f.subject in about for f in works)

    def move(self, duty: Duty, unit: int, act: UUID) -> None:
        duty.owner, duty.assignee, duty.offered_to, duty.offered_until = unit, None, None, None
        duty.moves.append(act)

    def succeed(self, of: dict[int, UUID], act: UUID, *, as_it_was: bool = False) -> list[Duty]:
        """Duties closed by what no longer stands are owed again, where nobody of the person owes them already."""
        made = []
        for no, fact in sorted(of.items()):
            old = self.duties[no]
            if any(d.is_open for d in self.twins(old.kind, old.key, old.subject)):
                continue
            least = old.pack.quiet.fold(self.now() + old.kind.grace(old.pack), self.now())
            due_at = max(old.due_at, least) if old.due_at is not None and not as_it_was else old.due_at
            old.successor = self.open(old.kind, old.subject, old.key, old.owner, due_at, fact, old.pack, act)
            made.append(old.successor)
        return made

    def other(self, duty: Duty, does: str) -> UUID | None:
        """The first standing fact about the person and key of a duty that opens (or closes) its kind."""
        members = self.person(duty.subject) if duty.key else set()
        accepted = getattr(duty.kind, does)
        for fact in sorted(self.facts.values(), key=lambda f: (f.at, f.id)):
            if fact.kind in accepted and not fact.voided and fact.key == duty.key and fact.subject in members:
                when = accepted[fact.kind]
                values = dataclasses.asdict(fact.details)
                if when.fn(*(values[r] for r in when.reads), None):
                    return fact.id
        return None

    def withdraw(self, void_of: dict[UUID, UUID], act: UUID) -> None:
        for fact in void_of:
            if fact in self.facts:
                self.facts[fact].voided = True
        born = [duty for duty in self.open_duties() if duty.opened_by in void_of]
        for duty in born:
            duty.end("void", void_of[duty.opened_by], act)
        made = self.succeed({d.no: void_of[d.closed_by] for d in self.duties if d.closed_by in void_of and d.successor is None}, act)
        others = {duty.no: self.other(duty, "opens") for duty in born}
        made += self.succeed({no: fact for no, fact in others.items() if fact is not None}, act)
        for duty in made:
            met = self.other(duty, "closes")
            if met is not None:
                duty.end("met", met, act)

    def relink(self, root_of: dict[UUID, UUID], act: UUID) -> None:
        moved = {s: self.root[s] for s, root in root_of.items() if self.root[s] != root}
        self.root.update(root_of)
        sides = {self.root[s] for s in (*moved, *moved.values())}
        made = self.owed_again(sides, act)
        groups: dict[tuple, list[Duty]] = {}
        for duty in self.duties:
            stands = duty.is_open or (duty.key and duty.outcome != "void" and duty.successor is None)
            if self.root[duty.subject] in sides and stands:
                groups.setdefault((duty.kind.name, duty.key, self.root[duty.subject]), []).append(duty)
        merged = []
        for found in groups.values():
            found.sort(key=lambda d: (d.is_open, d.opened_at, self.db_no[d.name]))
            open_ones = [d for d in found if d.is_open]
            worked_on = [d for d in open_ones if self.touched(d, moved) or d.offered]
            keeper = next((d for d in found if not d.is_open), None) or next(iter([*worked_on, *open_ones]), None)
            merged += [(d, keeper) for d in open_ones if d is not keeper and d not in worked_on]
        for duty, keeper in merged:
            duty.stands = keeper
            duty.end("void", ids.derived_id(act, facts.MERGED.name, self.db_no[duty.name]), act)
        for duty in made:
            met = self.other(duty, "closes") if duty.is_open else None
            if met is not None:
                duty.end("met", met, act)

    def owed_again(self, sides: set[UUID], act: UUID) -> list[Duty]:
        """What ended through a link that is gone: as it was where another duty stood for it, else with the kind's least time."""
        parted: dict[bool, dict[int, UUID]] = {True: {}, False: {}}
        for duty in self.duties:
            if duty.successor is not None or duty.is_open:
                continue
            by = self.facts.get(duty.closed_by)
            as_it_was = duty.stands is not None and not (by is not None and duty.outcome == "met")
            away = duty.stands.subject if as_it_was else by.subject if by is not None and duty.outcome == "met" else duty.subject
            if self.root[away] != self.root[duty.subject] and {self.root[away], self.root[duty.subject]} & sides:
                parted[as_it_was][duty.no] = ids.derived_id(act, facts.SUCCEEDED.name, self.db_no[duty.name])
        return self.succeed(parted[True], act, as_it_was=True) + self.succeed(parted[False], act)

    def run_clock(self) -> None:
        now = self.now()
        for duty in self.open_duties():
            while duty.timer is not None and duty.timer[0] <= now:
                bucket, level = duty.timer
                rungs = duty.rungs
                self.fired.add((duty.name, level, bucket, self.above[duty.owner, rungs[level - 1].steps_up]))
                duty.timer = (duty.pack.asks_at(duty.due_at, rungs[level]), level + 1) if level < len(rungs) else None


# --- random days ------------------------------------------------------------------------------------------------------

PERSON = st.integers(0, N_PEOPLE - 1)
UNIT = st.integers(0, 7)
PICK = st.integers(0, 10_000)
EPISODE = st.sampled_from(["e1", "e1", "e2"])
SEEN = st.tuples(EPISODE, st.sampled_from(["low", "low", "high", "none"]), st.one_of(st.none(), UNIT))
TOLD = st.tuples(EPISODE, st.sampled_from(["here", "later", "nobody"]), st.integers(1, 300))
BATCH = st.lists(st.tuples(PERSON, SEEN), min_size=1, max_size=6)
TOLD_BATCH = st.lists(st.tuples(PERSON, TOLD), min_size=1, max_size=6)

_city: tuple = ()  # town, clock, superuser's connection: set by the fixture


def as_action(by, fn: Callable, **arguments):
    from bihuan.access.action import action

    @action
    def run(*, by):
        return fn(by=by, **arguments)

    return run(by=by)


class Days(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.town, self.clock, self.server = _city
        self.clock.at = toy.BEGAN
        self.server.execute(f"TRUNCATE {EMPTIED}")
        self.posts = [self.town.posts[code] for code in sorted(self.town.posts)]
        from bihuan.regions.queries import lines

        self.model = Model(self.town, lines(p.unit_id for p in self.posts))
        self.people = toy.people(N_PEOPLE)
        self.model.root = {s: s for s in self.people}
        self.acts: list[tuple] = []  # (kind of act, id, post, what it did)
        self.model.db_no = {}
        self.undone: set[UUID] = set()

    # What the rules share.

    def post_of(self, unit: int):
        return next(p for p in self.posts if p.unit_id == unit)

    def pick(self, of: list, no: int):
        return of[no % len(of)]

    def loops(self, duties: list[Duty]) -> list[int]:
        return [self.model.db_no[d.name] for d in duties]

    def seen(self, values: tuple):
        episode, risk, desk = values
        return toy.Seen(episode, risk, None if desk is None else self.posts[desk].unit_id)

    def told(self, values: tuple):
        episode, answer, minutes = values
        return toy.Told(episode, answer, self.clock.at + timedelta(minutes=minutes) if answer == "later" else None)

    def one(self, kind, subject: UUID, details, id: UUID, post) -> None:
        known = id in self.model.facts
        done = as_action(post, lambda by: record(kind, event=self.town.event, subject=subject, details=details, by=by, id=id))
        n = self.model.append(kind, [(id, subject, details)], id, post)
        assert (done.repeated, n) == (known, 0 if known else 1)
        if not known:
            self.acts.append(("record", id, post, [id]))

    # Facts.

    @rule(person=PERSON, values=SEEN, post=UNIT)
    def see(self, person, values, post) -> None:
        self.one(toy.SEEN, self.people[person], self.seen(values), ids.new_id(), self.posts[post])

    @rule(person=PERSON, values=TOLD, post=UNIT)
    def tell(self, person, values, post) -> None:
        self.one(toy.TOLD, self.people[person], self.told(values), ids.new_id(), self.posts[post])

    @rule(person=PERSON, over=st.booleans())
    def meet(self, person, over) -> None:
        self.one(toy.MET, self.people[person], toy.Met(over), ids.new_id(), self.town.city)

    @precondition(lambda self: self.model.facts)
    @rule(no=PICK, same=st.booleans())
    def say_again(self, no, same) -> None:
        """The same id once more, perhaps with other content."""
        fact = self.pick(list(self.model.facts.values()), no)
        details = (
            fact.details
            if same
            else dataclasses.replace(fact.details, **({"over": not fact.details.over} if fact.kind is toy.MET else {"episode": "e9"}))
        )
        before = (len(self.model.duties), [d.outcome for d in self.model.duties])
        self.one(fact.kind, fact.subject, details, fact.id, fact.by)
        assert before == (len(self.model.duties), [d.outcome for d in self.model.duties])

    @rule(rows=BATCH, again=st.booleans())
    def list_seen(self, rows, again) -> None:
        self.many(toy.SEEN, [(ids.new_id(), self.people[p], self.seen(v)) for p, v in rows], again)

    @rule(rows=TOLD_BATCH, again=st.booleans())
    def list_told(self, rows, again) -> None:
        self.many(toy.TOLD, [(ids.new_id(), self.people[p], self.told(v)) for p, v in rows], again)

    @precondition(lambda self: any(f.kind is toy.SEEN for f in self.model.facts.values()))
    @rule(rows=BATCH, no=PICK)
    def list_partly_known(self, rows, no) -> None:
        old = self.pick([f for f in self.model.facts.values() if f.kind is toy.SEEN], no)
        self.many(toy.SEEN, [(old.id, old.subject, old.details), *((ids.new_id(), self.people[p], self.seen(v)) for p, v in rows)], False)

    @precondition(lambda self: self.model.unanswered())
    @rule(no=PICK)
    def say_anew(self, no) -> None:
        """What a module does about records that a withdrawal or a parting left behind: it says them anew."""
        fact = self.model.facts[self.pick(sorted(self.model.unanswered()), no)]
        self.one(fact.kind, fact.subject, fact.details, ids.new_id(), self.town.city)
        assert fact.id not in self.model.unanswered()

    def many(self, kind, rows: list[tuple], again: bool) -> None:
        act, city = ids.new_id(), self.town.city
        frame = pl.DataFrame(
            {"id": [str(r[0]) for r in rows], "subject": [str(r[1]) for r in rows]}
            | {f.name: [getattr(r[2], f.name) for r in rows] for f in kind.fields},
            schema_overrides={"desk": pl.Int64} if kind is toy.SEEN else {"next_at": pl.Datetime("us", "UTC")},
        )
        new = [r[0] for r in rows if r[0] not in self.model.facts]
        n = self.model.append(kind, rows, act, city)
        for _ in range(1 + again):
            done = as_action(city, lambda by: record_many(kind, frame, event=self.town.event, by=by, act=act))
            assert (done.n_new, done.n_new + done.n_known) == (n, len(rows))
            n = 0
        self.acts.append(("record", act, city, new))

    # Duties change hands.

    @precondition(lambda self: any(d.offered_to is None for d in self.model.open_duties()))
    @rule(no=PICK, unit=UNIT, by_city=st.booleans())
    def offer(self, no, unit, by_city) -> None:
        duty = self.pick([d for d in self.model.open_duties() if d.offered_to is None], no)
        to = self.posts[unit].unit_id
        act, post = ids.new_id(), self.town.city if by_city else self.post_of(duty.owner)
        answer = as_action(post, handle.offer, loops=self.loops([duty]), to_unit=to, reason="r", act=act)
        if to == duty.owner:
            assert answer.code == "offer_to_owner"
            return
        assert answer.n == 1
        assert as_action(post, handle.offer, loops=self.loops([duty]), to_unit=to, reason="r", act=act).repeated
        duty.offered_to, duty.offered_until, duty.offered = to, self.clock.at + duty.kind.offered_for(duty.pack), True
        duty.moves.append(act)
        self.acts.append(("offer", act, post, [duty]))

    @precondition(lambda self: any(d.offered_to for d in self.model.open_duties()))
    @rule(no=PICK, other=UNIT)
    def accept(self, no, other) -> None:
        duty = self.pick([d for d in self.model.open_duties() if d.offered_to], no)
        act, post = ids.new_id(), self.post_of(duty.offered_to)
        stranger = self.posts[other]
        if stranger.unit_id != duty.offered_to:
            assert isinstance(as_action(stranger, handle.accept, loops=self.loops([duty]), act=ids.new_id()), Refused)
        answer = as_action(post, handle.accept, loops=self.loops([duty]), act=act)
        if duty.offered_until <= self.clock.at:
            assert answer.code == "offer_expired"
            return
        assert answer.n == 1
        assert as_action(post, handle.accept, loops=self.loops([duty]), act=act).repeated
        before = duty.owner
        self.model.move(duty, post.unit_id, act)
        duty.accepted = True
        self.acts.append(("accept", act, post, [(duty, before)]))

    @precondition(lambda self: any(d.offered_to for d in self.model.open_duties()))
    @rule(no=PICK, withdraw=st.booleans())
    def return_(self, no, withdraw) -> None:
        duty = self.pick([d for d in self.model.open_duties() if d.offered_to], no)
        act, post = ids.new_id(), self.post_of(duty.owner if withdraw else duty.offered_to)
        assert as_action(post, handle.return_, loops=self.loops([duty]), reason="r", act=act).n == 1
        duty.offered_to = duty.offered_until = None
        duty.moves.append(act)

    @precondition(lambda self: self.model.open_duties())
    @rule(no=PICK, nobody=st.booleans())
    def assign(self, no, nobody) -> None:
        duty = self.pick(self.model.open_duties(), no)
        act, officer = ids.new_id(), None if nobody else self.post_of(duty.owner).officer_id
        assert as_action(self.town.city, handle.assign, loops=self.loops([duty]), officer=officer, act=act).n == 1
        duty.assignee = officer

    @precondition(lambda self: self.model.open_duties())
    @rule(numbers=st.lists(PICK, min_size=1, max_size=3), unit=UNIT, place=st.booleans())
    def reassign(self, numbers, unit, place) -> None:
        chosen = {d.no: d for d in (self.pick(self.model.open_duties(), n) for n in numbers)}.values()
        act, to = ids.new_id(), self.posts[unit].unit_id
        moving = [d for d in chosen if d.owner != to]
        answer = as_action(self.town.city, handle.reassign, loops=self.loops(chosen), to_unit=to, reason="r", act=act, place=place)
        assert answer.n == len(moving)
        before = [(d, d.owner) for d in moving]
        for duty in moving:
            self.model.move(duty, to, act)
        if moving:
            self.acts.append(("reassign", act, self.town.city, before))

    @precondition(lambda self: self.model.open_duties())
    @rule(no=PICK)
    def waive(self, no) -> None:
        duty = self.pick(self.model.open_duties(), no)
        act = ids.new_id()
        loop = self.loops([duty])
        assert as_action(self.town.city, handle.waive, loops=loop, reason="r", act=act).n == 1
        assert as_action(self.town.city, handle.waive, loops=loop, reason="r", act=act).repeated
        duty.end("waived", ids.derived_id(act, facts.WAIVED.name, loop[0]), act)
        self.acts.append(("waive", act, self.town.city, [duty]))

    # Records are withdrawn, acts undone.

    @precondition(lambda self: self.model.facts)
    @rule(no=PICK)
    def void(self, no) -> None:
        fact = self.pick(list(self.model.facts.values()), no)
        act = ids.new_id()
        answer = as_action(self.town.city, withdraw.void, fact=fact.id, reason="r", act=act)
        if fact.voided:
            assert answer.code == "already_voided"
            return
        assert not isinstance(answer, Refused), answer
        assert as_action(self.town.city, withdraw.void, fact=fact.id, reason="r", act=act).repeated
        self.model.withdraw({fact.id: ids.derived_id(act, facts.VOIDED.name, fact.id)}, act)

    @precondition(lambda self: any(f.kind is toy.TOLD for f in self.model.facts.values()))
    @rule(no=PICK, values=TOLD)
    def correct(self, no, values) -> None:
        fact = self.pick([f for f in self.model.facts.values() if f.kind is toy.TOLD], no)
        act, details = ids.new_id(), self.told(values)
        arguments = {"fact": fact.id, "details": details, "reason": "r", "act": act}
        answer = as_action(self.town.city, withdraw.correct, **arguments)
        if fact.voided:
            assert answer.code == "already_voided"
            return
        self.model.withdraw({fact.id: ids.derived_id(act, facts.VOIDED.name, fact.id)}, act)
        self.model.append(fact.kind, [(ids.derived_id(act, fact.kind.name, fact.id), fact.subject, details)], act, self.town.city)

    @precondition(lambda self: self.acts)
    @rule(no=PICK, last=st.booleans())
    def undo(self, no, last) -> None:
        what, act, post, done = self.acts[-1] if last else self.pick(self.acts, no)
        answer = as_action(post, withdraw.undo, act=act)
        undo_act = ids.derived_id(act, "undo")
        if act in self.undone:
            assert answer.repeated
            return
        rests = what == "record" and any(self.model.facts[f].voided for f in done if f in self.model.facts)
        rests = rests or any(act in d.moves and d.moves[-1] != act for d in self.model.duties)
        if rests or (what == "record" and not done):
            assert isinstance(answer, Refused), (what, answer)
            return
        assert not isinstance(answer, Refused), (what, answer)
        self.undone.add(act)
        if what == "record":
            self.model.withdraw({f: ids.derived_id(undo_act, facts.VOIDED.name, f) for f in done}, undo_act)
        elif what == "offer":
            for duty in done:
                duty.offered_to = duty.offered_until = None
                duty.moves.append(undo_act)
        elif what in ("accept", "reassign"):
            for duty, before in done:
                self.model.move(duty, before, undo_act)
        elif what == "waive":
            waived = ids.derived_id(act, facts.WAIVED.name, self.loops(done)[0])
            self.model.withdraw({waived: ids.derived_id(undo_act, facts.VOIDED.name, waived)}, undo_act)
        assert as_action(post, withdraw.undo, act=act).repeated

    # Who is who.

    @rule(a=PERSON, b=PERSON)
    def link(self, a, b) -> None:
        a, b = self.people[a], self.people[b]
        members = self.model.person(a) | self.model.person(b)
        self.relink(dict.fromkeys(members, min(members)))

    @precondition(lambda self: len(set(self.model.root.values())) < N_PEOPLE)
    @rule(no=PICK)
    def part(self, no) -> None:
        alone = self.pick([s for s in self.people if len(self.model.person(s)) > 1], no)
        rest = self.model.person(alone) - {alone}
        self.relink({alone: alone} | dict.fromkeys(rest, min(rest)))

    def relink(self, root_of: dict[UUID, UUID]) -> None:
        act = ids.new_id()
        answer = as_action(self.town.city, lambda by: toy.set_clusters(self.town.event, root_of, by=by, act=act))
        assert not isinstance(answer, Refused)
        rows = self.server.execute("SELECT opened_by, kind, subject, key, id FROM loop").fetchall()
        self.model.db_no = {row[:4]: row[-1] for row in rows}
        self.model.relink(root_of, act)

    # Time.

    @rule(minutes=st.sampled_from([1, 7, 31, 60, 61, 150, 600, 1500]))
    def wait(self, minutes) -> None:
        """As `demo advance`: the clock runs before anybody looks."""
        self.clock.advance(timedelta(minutes=minutes))
        for duty in self.model.open_duties():
            if duty.offered_until is not None and duty.offered_until <= self.clock.at:
                duty.offered_to = duty.offered_until = None
                duty.moves.append(ids.new_id())
        as_action(self.town.city, handle.expire_offers)
        self.model.run_clock()
        tick()
        assert tick().n_fired == 0

    @rule()
    def fold(self) -> None:
        tallies.fold()

    # What is always so.

    @invariant()
    def holds(self) -> None:
        rows = self.server.execute(
            """
            SELECT l.opened_by, l.kind, l.subject, l.key,
                   l.owner, l.assignee, l.offered_to, l.offered_until, l.due_at, l.outcome, l.closed_by, t.bucket, t.level, l.id
            FROM loop l LEFT JOIN timer t ON t.loop = l.id WHERE l.kind LIKE 'toy.%' ORDER BY l.id
            """
        ).fetchall()
        self.model.db_no = {row[:4]: row[-1] for row in rows}
        is_so = {row[:4]: row[4:-1] for row in rows}
        must_be = {
            d.name: (d.owner, d.assignee, d.offered_to, d.offered_until, d.due_at, d.outcome, d.closed_by, *(d.timer or (None, None)))
            for d in self.model.duties
        }
        assert is_so == must_be
        assert len(rows) == len(is_so)
        fired = self.server.execute(
            "SELECT l.opened_by, l.kind, l.subject, l.key, f.level, f.bucket, f.unit FROM fired f JOIN loop l ON l.id = f.loop"
            " WHERE l.kind LIKE 'toy.%'"
        ).fetchall()
        assert len(fired) == len(self.model.fired)
        assert {(row[:4], *row[4:]) for row in fired} == self.model.fired
        there = {f for (f,) in self.server.execute("SELECT id FROM fact WHERE kind LIKE 'toy.%'").fetchall()}
        assert there == set(self.model.facts), "what was acknowledged is there, and nothing else"
        report = verify.verify()
        left_behind = {gap.fact for gap in report.gaps if gap.check == "duty_missing"}
        assert left_behind == self.model.unanswered()
        assert {gap.check for gap in report.gaps} <= {"duty_missing"}, [(gap.check, gap.en) for gap in report.gaps]
        counted = sum(c.held for c in tallies.counts(self.town.event, [kind.name for kind in toy.DUTIES]))
        assert counted == len(self.model.open_duties())
        asked = self.server.execute("SELECT count(*) FROM loop WHERE kind = 'ledger.contradiction' AND closed_at IS NULL").fetchone()[0]
        assert asked == self.server.execute("SELECT count(*) FROM conflict").fetchone()[0], (
            "each second content has somebody who settles it"
        )


@pytest.fixture(scope="module")
def city(template: str, tmp_path_factory, request) -> Iterator[tuple]:
    global _city
    database_from = next(p.database_from for p in request.config.pluginmanager.get_plugins() if hasattr(p, "database_from"))
    with ExitStack() as stack:
        stack.enter_context(toy.declared())
        clock = stack.enter_context(toy.standing_clock())
        name = stack.enter_context(database_from(template))
        stack.enter_context(setup.acting("work"))
        town = toy.found_town(tmp_path_factory.mktemp("town"), lambda: psycopg.connect(roles.dsn("owner", name)))
        server = stack.enter_context(psycopg.connect(roles.dsn("superuser", name), autocommit=True))
        server.execute("SET timezone = 'UTC'")
        _city = (town, clock, server)
        yield _city


def test_random_days(city) -> None:
    run_state_machine_as_test(
        Days,
        settings=settings(
            max_examples=12, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate], report_multiple_bugs=False, print_blob=True,
        ),
    )  # fmt: skip


WHOLE_BATCH = st.lists(st.tuples(PERSON, SEEN), min_size=1, max_size=80)
WHOLE_TOLD = st.lists(st.tuples(PERSON, TOLD), min_size=1, max_size=80)


BATCHES = st.lists(st.one_of(st.tuples(st.just(toy.SEEN), WHOLE_BATCH), st.tuples(st.just(toy.TOLD), WHOLE_TOLD)), min_size=1, max_size=4)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(batches=BATCHES, pairs=st.lists(st.tuples(PERSON, PERSON), max_size=2))
def test_whole_batches_do_what_the_pure_decisions_say(city, batches, pairs) -> None:
    machine = Days()
    machine.begin()
    for a, b in pairs:
        machine.link(a, b)
    for kind, rows in batches:
        made = [(ids.new_id(), machine.people[p], machine.seen(v) if kind is toy.SEEN else machine.told(v)) for p, v in rows]
        machine.many(kind, made, again=True)
        machine.holds()


# --- days that random ones seldom reach ---------------------------------------------------------------------------------


@pytest.fixture
def day(city) -> Iterator[Callable]:
    """`day(name, **arguments)`: one step of a day, checked as the random ones are."""
    machine = Days()
    machine.begin()

    def step(name: str, **arguments) -> Days:
        getattr(machine, name)(**arguments)
        machine.holds()
        return machine

    step.machine = machine
    return step


SEE, HERE, LATER = ("e1", "low", 3), ("e1", "here", 1), ("e1", "later", 90)


def test_a_row_that_is_known_does_not_hide_a_new_one(day) -> None:
    day("see", person=0, values=SEE, post=0)
    day("void", no=0)
    machine = day("list_partly_known", rows=[(0, SEE)], no=0)
    assert len(machine.model.open_duties()) == 1


def test_of_two_duties_that_one_answer_ended_one_is_owed_again(day) -> None:
    machine = day.machine
    for person in (0, 1):
        day("see", person=person, values=SEE, post=0)
        day("tell", person=person, values=LATER, post=0)
    day("link", a=0, b=1)
    assert len(machine.model.open_duties()) == 2, "both were worked on"
    day("tell", person=0, values=HERE, post=0)
    day("void", no=len(machine.model.facts) - 1)
    assert len([d for d in machine.model.open_duties() if d.kind is toy.CHECK]) == 1


def test_one_batch_says_later_and_here(day) -> None:
    day("see", person=0, values=SEE, post=0)
    for rows in ([(0, LATER), (0, HERE)], [(0, HERE), (0, LATER)]):
        machine = day("list_told", rows=rows, again=False)
    assert [d.kind for d in machine.model.open_duties()] == [toy.FOLLOW]


@pytest.mark.parametrize("answered", [0, 1])
@pytest.mark.parametrize("alone", [0, 1])
def test_parting_gives_back_what_ended_through_the_link(day, answered, alone) -> None:
    machine = day.machine
    for person in (0, 1):
        day("see", person=person, values=SEE, post=0)
    day("link", a=0, b=1)
    day("tell", person=answered, values=HERE, post=0)
    day("part", no=[s for s in machine.people if len(machine.model.person(s)) > 1].index(machine.people[alone]))
    assert machine.people[1 - answered] in {d.subject for d in machine.model.open_duties() if d.kind is toy.CHECK}


def test_an_undone_waiver_is_owed_again(day) -> None:
    machine = day("see", person=0, values=SEE, post=0)
    day("waive", no=0)
    day("undo", no=0, last=True)
    assert len(machine.model.open_duties()) == 1


def test_what_a_second_answer_rests_on_stands(day) -> None:
    """Two visits found the same; one is withdrawn."""
    machine = day("see", person=0, values=SEE, post=0)
    day("tell", person=0, values=HERE, post=0)
    day("tell", person=0, values=HERE, post=0)
    day("void", no=1)
    assert machine.model.unanswered() == set()
    assert {d.kind for d in machine.model.open_duties()} == {toy.FOLLOW}


def test_a_duty_owed_again_after_its_deadline_is_asked_about_by_the_next_tick(city) -> None:
    """Parted again after everything fell due, what was one duty is two: the clock has a moment to ask for help."""
    day = Days()
    day.begin()
    day.list_seen(again=False, rows=[(0, ("e1", "low", 1)), (3, ("e1", "low", 1))])
    day.wait(minutes=1500)
    day.link(a=3, b=0)
    day.part(no=0)
    day.holds()
    day.wait(minutes=5)
    day.holds()
    day.teardown()
