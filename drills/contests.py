"""抢办：两个人在同一瞬间办同一件事，谁也不悄悄盖掉谁 / two officers act on one duty at the same instant: nothing is overwritten.

Each pair of acts is first done one after the other, in both orders: what came out then (the duties, their movements, the
records, both answers) is what may come out. Then the two are let go at the same moment on connections of their own, again
and again, each time on another person's duty. Whoever is refused is told who was first, with what, and when.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from drills import house
from drills.harness import Drill, spread
from drills.kills import rows_of

OPTIONS = {
    "pairs": (10_000, "多少对 / how many pairs"),
    "seed": (20220828, "随机种子 / seed of the moments"),
}
AT_ONCE = 500  # cases of a round: their duties are prepared and judged together
OFFSET_SECONDS = 0.004  # at most, by which one of a pair starts later
# A refusal of whoever came second: somebody's unit and a time of day.
TELLS_WHO_AND_WHEN = re.compile(r"\S+ \d\d:\d\d 已")


@dataclass
class Case:
    """One person with a duty to verify, and what a pair of acts needs to know of it."""

    lead: UUID
    subject: UUID
    loop: int
    report: UUID
    acts: list[UUID] = field(default_factory=list)
    seen: str = ""

    def shown(self) -> dict[str, Any]:
        return {"loops": [self.loop], "seen": {self.loop: self.seen}}


@dataclass(frozen=True)
class Pair:
    """Two acts on one duty; `before` prepares many cases at once."""

    name: str
    first: Callable[[Case], Any]
    second: Callable[[Case], Any]
    before: Callable[[list[Case]], None] = lambda cases: None


def pairs() -> list[Pair]:
    """The acts of officers that can meet on one duty. 村: holds it; 镇: is asked; 市: two officers of one desk above both."""
    from datetime import date

    from bihuan.access import queries as access
    from bihuan.kernel import ids
    from bihuan.leads import actions
    from bihuan.leads.facts import Found, Tried

    village, town, city, city2, county = (access.post_of(login) for login in ("cun", "zhen", "console", "shi", "xian"))

    def new() -> UUID:
        return ids.new_id()

    def offered(cases: list[Case]) -> None:
        _done(actions.offer(by=village, loops=[c.loop for c in cases], to_unit=town.unit_id, reason="没人手", act=new()))
        _see(cases)

    def offered_singly(cases: list[Case]) -> None:
        for case in cases:
            case.acts = [new()]
            _done(actions.offer(by=village, loops=[case.loop], to_unit=town.unit_id, reason="没人手", act=case.acts[0]))
        _see(cases)

    def at_the_city(cases: list[Case]) -> None:
        _done(actions.reassign(by=city, loops=[c.loop for c in cases], to_unit=city.unit_id, reason="上收", act=new()))
        _see(cases)

    def answered(cases: list[Case]) -> None:
        for case in cases:
            case.acts = [new()]
            _done(actions.verify(by=village, lead=case.lead, outcome=Found.HERE, here_since=date(2022, 8, 27), fact_id=case.acts[0]))

    def accept(c: Case) -> Any:
        return actions.accept(by=town, **c.shown(), act=new())

    def withdraw(c: Case) -> Any:
        return actions.decline(by=village, **c.shown(), reason="不移交了", act=new())

    def decline(c: Case) -> Any:
        return actions.decline(by=town, **c.shown(), reason="不住这里", act=new())

    def verify(c: Case) -> Any:
        return actions.verify(by=village, lead=c.lead, outcome=Found.HERE, here_since=date(2022, 8, 27), fact_id=new())

    def verify_above(c: Case) -> Any:
        return actions.verify(by=city, lead=c.lead, outcome=Found.WILL_NOT_COME, fact_id=new())

    def waive(by: Any) -> Callable[[Case], Any]:
        return lambda c: actions.waive(by=by, **c.shown(), reason="误报", act=new())

    def reassign(by: Any, to: Any) -> Callable[[Case], Any]:
        return lambda c: actions.reassign(by=by, **c.shown(), to_unit=to.unit_id, reason="就近", act=new())

    def assign(by: Any, officer: Any) -> Callable[[Case], Any]:
        return lambda c: actions.assign(by=by, **c.shown(), officer=officer.officer_id, act=new())

    def undo(c: Case) -> Any:
        return actions.undo(by=village, act=c.acts[0])

    def void(by: Any) -> Callable[[Case], Any]:
        return lambda c: actions.void(by=by, fact=c.acts[0] if c.acts else c.report, reason="记错了", act=new())

    def tried(c: Case) -> Any:
        return actions.try_contact(by=village, lead=c.lead, outcome=Tried.NOT_REACHED, fact_id=new())

    def offer_to(to: Any) -> Callable[[Case], Any]:
        return lambda c: actions.offer(by=village, **c.shown(), to_unit=to.unit_id, reason="没人手", act=new())

    return [
        Pair("accept / withdraw", accept, withdraw, offered),
        Pair("accept / decline", accept, decline, offered),
        Pair("accept / accept", accept, accept, offered),
        Pair("accept / undo the offer", accept, undo, offered_singly),
        Pair("accept / reassign", accept, reassign(city, county), offered),
        Pair("offer / offer elsewhere", offer_to(town), offer_to(county), _see),
        Pair("assign / assign another", assign(city, city), assign(city2, city2), at_the_city),
        Pair("reassign / reassign elsewhere", reassign(city, town), reassign(city2, county), _see),
        Pair("assign / reassign", assign(city, city), reassign(city2, county), at_the_city),
        Pair("return / verify", decline, verify, offered),
        Pair("offer / verify", offer_to(town), verify, _see),
        Pair("waive / verify", waive(city), verify, _see),
        Pair("waive / waive", waive(city), waive(city2), _see),
        Pair("waive / reassign", waive(city), reassign(city2, county), _see),
        Pair("verify / verify", verify, verify_above),
        Pair("verify / call", verify, tried),
        Pair("void the report / verify", void(city), verify),
        Pair("void / void", void(city), void(city2), answered),
        Pair("void / undo", void(city), undo, answered),
        Pair("undo / undo", undo, undo, offered_singly),
        Pair("void the answer / answer again", void(city), verify_above, answered),
    ]


def _done(answer: Any) -> Any:
    from bihuan.kernel.refused import Refused

    if isinstance(answer, Refused):
        raise answer
    return answer


def _see(cases: list[Case]) -> None:
    """What both pages show before either acts."""
    from bihuan.loops.meanwhile import tag

    rows = {
        i: tag(*row)
        for i, *row in house.ask("SELECT id, owner, assignee, offered_to FROM loop WHERE id = ANY(%s)", [c.loop for c in cases])
    }
    for case in cases:
        case.seen = rows[case.loop]


class People:
    """Leads of made-up lists, each used once."""

    def __init__(self, post: Any) -> None:
        self.post, self.left, self.no = post, [], 0

    def take(self, n: int) -> list[Case]:
        from bihuan.intake import actions
        from bihuan.kernel import ids
        from bihuan.site import demo

        while len(self.left) < n:
            self.no += 1
            stored = _done(actions.store(
                by=self.post, event=demo.event(), kind="leads", source="community", name=f"{self.no}.csv",
                data=rows_of(self.no, 1000), act=ids.new_id(), claim=True,
            ))  # fmt: skip
            actions.process(stored.file, by=self.post)
            self.left += [Case(*row) for row in house.ask(
                "SELECT d.id, l.subject, l.id, l.opened_by FROM loop l JOIN lead d USING (subject, key)"
                    " JOIN lead_reported r ON r.fact = l.opened_by"
                " WHERE l.kind = 'leads.verify' AND r.file = %s ORDER BY l.id", stored.file,
            )]  # fmt: skip
        taken, self.left = self.left[:n], self.left[n:]
        return taken


def answer_of(done: Any) -> str:
    from bihuan.kernel.refused import Refused

    if isinstance(done, Refused):
        return done.code
    return "repeated" if getattr(done, "repeated", False) else "done"


_STATE = """
SELECT s.subject,
  (SELECT array_agg(x ORDER BY x) FROM (
     SELECT concat_ws('/', l.kind, l.owner, l.assignee, l.offered_to, l.outcome) AS x FROM loop l WHERE l.subject = s.subject) a),
  (SELECT array_agg(concat_ws('/', l.kind, m.what, m.from_unit, m.to_unit) ORDER BY l.kind, m.loop, m.id)
   FROM movement m JOIN loop l ON l.id = m.loop WHERE l.subject = s.subject),
  (SELECT array_agg(f.kind ORDER BY f.kind) FROM fact f WHERE f.subject = s.subject)
FROM unnest(%s::uuid[]) AS s(subject)
"""


def outcomes(cases: list[Case], answers: dict[UUID, tuple[str, str]]) -> list[tuple]:
    """What came of each case: both answers, its duties, their movements in order, its records."""
    found = {row[0]: row[1:] for row in house.ask(_STATE, [c.subject for c in cases])}
    return [(answers[c.subject], *(tuple(part or ()) for part in found[c.subject])) for c in cases]


def run(drill: Drill) -> None:
    from bihuan.access import queries as access
    from bihuan.site import setup

    with setup.acting("app"):
        people = People(access.post_of("console"))
        all_pairs, dice = pairs(), random.Random(drill.seed)
        may_be = {pair.name: one_after_the_other(pair, people) for pair in all_pairs}
        wrong: list[str] = []
        untold: list[str] = []
        came: dict[str, Counter] = defaultdict(Counter)
        took: list[float] = []
        errors: list[str] = []
        duel = Duel()
        n = no = 0
        while n < drill.pairs:
            pair = all_pairs[no % len(all_pairs)]
            no += 1
            size = min(max(1, drill.pairs // len(all_pairs)), AT_ONCE, drill.pairs - n)
            cases = people.take(size)
            pair.before(cases)
            answers = {}
            for case in cases:
                offset = dice.uniform(-OFFSET_SECONDS, OFFSET_SECONDS)
                first, second, seconds = duel.fight(pair, case, offset)
                took.append(seconds)
                for one in (first, second):
                    if isinstance(one, Exception) and not hasattr(one, "code"):
                        errors.append(f"{pair.name}: {type(one).__name__}: {one}")
                answers[case.subject] = (answer_of(first), answer_of(second))
                untold += told_nothing(pair, first, second)
            for case, outcome in zip(cases, outcomes(cases, answers), strict=True):
                came[pair.name][" + ".join(outcome[0])] += 1
                if outcome not in may_be[pair.name]:
                    wrong.append(f"{pair.name}, duty {case.loop}: {outcome}")
            n += size
            if no % len(all_pairs) == 0:
                drill.say(f"{n:,} pairs, {len(wrong)} out of order, {time.monotonic() - drill.began:.0f} s")
        duel.end()
    drill.figures |= {
        "pairs": n, "kinds of pairs": len(all_pairs), "out of order": len(wrong), "errors": len(errors),
        "seconds of a pair": spread(took), **{f"answers: {name}": dict(counter) for name, counter in came.items()},
    }  # fmt: skip
    drill.must("each pair ended as if one had come after the other", wrong)
    drill.must("whoever was refused was told who, what and when", untold)
    drill.must("no act failed without a word", errors)
    with setup.acting("work"):
        from bihuan.loops import verify

        gaps = [f"{gap.check}: {gap.en}" for gap in verify.verify().gaps]
    drill.must("the accounts balance (verify)", gaps)


def one_after_the_other(pair: Pair, people: People) -> set[tuple]:
    """The outcomes of both orders."""
    cases = people.take(2)
    pair.before(cases)
    answers = {}
    a, b = cases
    first = answer_of(pair.first(a))
    answers[a.subject] = (first, answer_of(pair.second(a)))
    second = answer_of(pair.second(b))
    answers[b.subject] = (answer_of(pair.first(b)), second)
    return set(outcomes(cases, answers))


def told_nothing(pair: Pair, *answers: Any) -> list[str]:
    """Refusals that do not say by whom and when. (A second withdrawal of one's own record has no other to be named.)"""
    return [
        f"{pair.name}: {one.code}: {one.zh}" for one in answers
        if hasattr(one, "code") and not TELLS_WHO_AND_WHEN.search(one.zh)
    ]  # fmt: skip


class Duel:
    """Two threads, each with a connection of its own, that are let go together."""

    def __init__(self) -> None:
        self.gate, self.back = threading.Barrier(3), threading.Barrier(3)
        self.work: list[tuple[Callable[[Case], Any], float]] = []
        self.answers: list[Any] = [None, None]
        self.case: Case | None = None
        self.threads = [threading.Thread(target=self._run, args=(no,), daemon=True) for no in (0, 1)]
        for thread in self.threads:
            thread.start()

    def _run(self, no: int) -> None:
        from django.db import connection

        while True:
            self.gate.wait()
            if self.case is None:
                connection.close()
                return
            act, wait = self.work[no]
            if wait > 0:
                time.sleep(wait)
            try:
                self.answers[no] = act(self.case)
            except Exception as error:  # told at the end
                self.answers[no] = error
                connection.close()
            self.back.wait()

    def fight(self, pair: Pair, case: Case, offset: float) -> tuple[Any, Any, float]:
        self.case, self.work = case, [(pair.first, offset), (pair.second, -offset)]
        began = time.monotonic()
        self.gate.wait()
        self.back.wait()
        return *self.answers, time.monotonic() - began

    def end(self) -> None:
        self.case = None
        self.gate.wait()
        for thread in self.threads:
            thread.join()
