"""认错又拆开：一千次把两个人认成一个再拆开，待办、记录、时限和原来一模一样 / link and un-link: both histories exactly as before.

A list comes in; on some persons desks have worked (called, assigned, offered, verified, sampled). Then, again and again,
two or three persons are said to be one and parted again, in any order, with the clock moving in between. Nothing new
rests on the link, so afterwards everything must be as if it had never been: who is one person, what is owed about whom,
by which unit and officer, until when, when help is asked next, what was met by which record, who may see whom, every
unit's figures, and every record. What remains is that it happened: its own records, and the word "different".

Then cases in which something does rest on the link: the persons were called while they were one. Parted, each is owed
what the own records do not meet, nobody twice, also after that record is withdrawn; and the accounts balance.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from drills.harness import Drill

OPTIONS = {
    "cases": (1000, "认一次、拆一次算一例 / cases of linking and parting"),
    "people": (60, "名单上的人数 / persons on the list"),
    "seed": (20220828, "随机数种子 / seed"),
}  # fmt: skip

ABOUT_LINKS = ("identity.linked", "identity.unlinked", "identity.doubted", "identity.settled", "loops.merged", "loops.succeeded")
PLACES = ("连云区板桥街道板桥社区居委会", "灌云县杨集镇镇东村委会", "灌云县", "")
RESTS_EVERY = 5  # of that many cases one has something resting on the link

# What must be the same: name -> statement. A duty is named by what it is about, never by its number.
SAME = {
    "persons": "SELECT subject, root FROM cluster",
    "links": "SELECT a, b, rule FROM link WHERE ended_by IS NULL AND rule <> 'officer'",
    "questions": "SELECT a, b, why FROM doubt WHERE ended_by IS NULL",
    "duties": """
        SELECT l.event, l.kind, l.subject, CASE WHEN l.kind = 'identity.settle' THEN '' ELSE l.key END, l.region, l.scope, l.owner,
               l.assignee, l.offered_to, l.offered_until, l.due_at, l.pack, t.level, t.bucket
        FROM loop l LEFT JOIN timer t ON t.loop = l.id WHERE l.closed_at IS NULL""",
    "met": """
        SELECT kind, subject, key, owner, closed_by, closed_at, outcome FROM loop
        WHERE outcome IN ('met', 'waived') AND kind <> 'identity.settle'""",
    "leads": "SELECT id, subject, key, desk, precision, sources, n_reports, arrived_from, arrived_to, merged_into FROM lead",
    # The city's desk sees everybody, and settles who is who.
    "sight": "SELECT subject, scope, unit FROM visible WHERE scope <> (SELECT min(scope) FROM visible)",
    "figures": """
        SELECT unit, kind, sum(opened) + sum(moved_in) - sum(closed) - sum(moved_out), sum(late)
        FROM (SELECT unit, kind, opened, closed, moved_in, moved_out, late FROM tally UNION ALL
              SELECT unit, kind, opened, closed, moved_in, moved_out, late FROM tally_delta) t
        GROUP BY 1, 2 HAVING sum(opened) + sum(moved_in) - sum(closed) - sum(moved_out) <> 0 OR sum(late) <> 0""",
    "records": f"SELECT id, kind, subject, digest FROM fact WHERE kind NOT IN {ABOUT_LINKS}",
}  # fmt: skip


def _rows(sql: str, *values: Any) -> list[tuple]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def state() -> dict[str, Counter]:
    """Everything of `SAME` as it stands now."""
    return {name: Counter(tuple(map(str, row)) for row in _rows(sql)) for name, sql in SAME.items()}


def differences(before: dict[str, Counter], after: dict[str, Counter]) -> list[str]:
    return [
        f"{name}: {sign} {row}"
        for name in SAME
        for sign, rows in (("gone", before[name] - after[name]), ("new", after[name] - before[name]))
        for row in rows
    ]


def _list(dice: random.Random, people: int) -> bytes:
    """Names with phones, some with a passport, some told of twice: by the phone alone, or by another phone."""
    lines = ["姓名,证件号码,手机号,来源地,到达时间,现住址"]
    for no in range(people):
        name, phone, document = f"{dice.choice('王李张刘陈')}{chr(0x4E00 + no)}{chr(0x5E00 + no)}", f"139{no:08d}", f"E{no:08d}"
        place = dice.choice(PLACES)
        address = f"连云港市{place}{no + 1}号楼{no + 1}室" if place else ""
        told = f"上海市,2022-08-2{dice.choice('67')} 10:00,{address}"
        document = document if dice.random() < 0.5 else ""
        lines.append(f"{name},{document},{phone},{told}")
        if dice.random() < 0.3:
            lines.append(f"{name if document else ''},,{phone},{told}")
    return "\n".join(lines).encode()


def _take_in(post: Any, data: bytes) -> None:
    from bihuan.intake import actions
    from bihuan.kernel import ids
    from bihuan.site.demo import event

    stored = actions.store(by=post, event=event(), kind="leads", source="community", name="a.csv", data=data, act=ids.new_id())
    actions.process(stored.file, by=post)


def _work(dice: random.Random, post: Any, lead: UUID) -> None:
    """What a desk may have done before."""
    from bihuan.kernel import ids
    from bihuan.leads import actions
    from bihuan.leads.facts import Found, Tried
    from bihuan.site import setup

    found = _rows("SELECT l.id FROM loop l JOIN lead d ON d.subject = l.subject WHERE d.id = %s AND l.closed_at IS NULL", lead)
    loops = [i for (i,) in found]
    to = _rows("SELECT id FROM unit WHERE kind = 'desk' AND id <> %s ORDER BY id LIMIT 1", post.unit_id)[0][0]
    what = dice.choice(["nothing", "nothing", "call", "try", "assign", "offer", "verify", "sample", "accept"])
    with setup.acting("app"):
        if what in ("call", "verify"):
            actions.start_call(by=post, lead=lead, fact_id=ids.new_id())
        if what == "try":
            actions.try_contact(by=post, lead=lead, outcome=Tried.NOT_REACHED, fact_id=ids.new_id())
        if what in ("verify", "sample"):
            actions.verify(by=post, lead=lead, outcome=Found.HERE, here_since=date(2022, 8, 27), medical_need=_none(), fact_id=ids.new_id())
        if what == "sample":
            actions.sample(by=post, lead=lead, sampled_at=None, place="上门", tube="", fact_id=ids.new_id())
        if what == "assign":
            actions.assign(by=post, loops=loops, officer=post.officer_id, act=ids.new_id())
        if what in ("offer", "accept"):
            actions.offer(by=post, loops=loops, to_unit=to, reason="请代办", act=ids.new_id())


def _none() -> Any:
    from bihuan.leads.facts import MedicalNeed

    return MedicalNeed.NONE


def run(drill: Drill) -> None:
    from bihuan.access import queries as access
    from bihuan.loops.verify import verify
    from bihuan.site import setup
    from bihuan.site.demo import event

    dice, post, here = random.Random(drill.seed), access.post_of("console"), event()
    with setup.acting("app"):
        _take_in(post, _list(dice, drill.people))
    for (lead,) in _rows("SELECT id FROM lead ORDER BY id"):
        _work(dice, post, lead)
    n, n_merged, wrong = Counter(), 0, []
    for case in range(drill.cases):
        if case and case % 100 == 0:
            drill.say(f"{case} of {drill.cases}")
        if case % RESTS_EVERY == RESTS_EVERY - 1:
            wrong += [f"case {case}: {one}" for one in _resting(dice, post, here)]
            n["with something resting on the link"] += 1
            continue
        before, merged = state(), _merged()
        refused = _case(dice, post, here)
        n_merged += _merged() - merged
        drill.must("nothing was refused", [f"case {case}: {refused}"] if refused else [])
        found = differences(before, state())
        drill.must("both histories as before", [f"case {case}: {one}" for one in found])
        n["exact" if not found else "not exact"] += 1
    drill.figures["cases"] = dict(n)
    drill.figures["duties that another stood for meanwhile"] = n_merged
    drill.must("nobody lost, nobody asked twice", wrong)
    drill.must("the accounts balance afterwards", [str(gap) for gap in verify().gaps])


def _merged() -> int:
    return _rows("SELECT count(*) FROM fact WHERE kind = 'loops.merged'")[0][0]


def _roots(dice: random.Random, n: int) -> list[UUID]:
    return dice.sample([root for (root,) in _rows("SELECT DISTINCT root FROM cluster ORDER BY root")], n)


def _case(dice: random.Random, post: Any, here: int) -> str:
    """Two persons, or three, joined and parted again. The first refusal, or nothing."""
    from bihuan.identity import actions
    from bihuan.kernel.refused import Refused
    from bihuan.policy import installation
    from bihuan.site import setup

    a, *others = _roots(dice, dice.choice([2, 2, 2, 3]))
    if len(others) == 2 and _rows("SELECT 1 FROM link WHERE NOT same AND ended_by IS NULL AND %s IN (a, b) AND %s IN (a, b)", *others):
        others.pop()  # somebody has said before that these two are different: they are not made one by way of a third
    with setup.acting("app"):
        answers = [actions.link(by=post, event=here, a=a, b=b, reason="认成一人") for b in others]
    if dice.random() < 0.2:
        installation.advance(timedelta(seconds=dice.randint(1, 5)))
    dice.shuffle(others)
    with setup.acting("app"):
        answers += [actions.unlink(by=post, event=here, a=a, b=b, reason="认错了") for b in others]
    return next((one.code for one in answers if isinstance(one, Refused)), "")


def _resting(dice: random.Random, post: Any, here: int) -> list[str]:
    """Two persons; somebody is called while they are one; parted; the record is withdrawn. What is wrong then."""
    from bihuan.identity import actions as identity
    from bihuan.kernel import ids
    from bihuan.leads import actions
    from bihuan.leads.facts import Found
    from bihuan.loops.record import Done
    from bihuan.site import setup

    a, b = _roots(dice, 2)
    lead = _rows(
        "SELECT d.id FROM lead d JOIN cluster c ON c.subject = d.subject WHERE c.root = %s ORDER BY d.id LIMIT 1", dice.choice([a, b])
    )[0][0]
    fact = ids.new_id()
    with setup.acting("app"):
        identity.link(by=post, event=here, a=a, b=b, reason="认成一人")
        said = actions.verify(by=post, lead=lead, outcome=Found.WILL_NOT_COME, reason="不来了", fact_id=fact)
        identity.unlink(by=post, event=here, a=a, b=b, reason="认错了")
    wrong = _owed_wrongly()
    if isinstance(said, Done):
        with setup.acting("app"):
            actions.void(by=post, fact=fact, reason="打错人了", act=ids.new_id())
    return wrong + _owed_wrongly()


# A person and an arrival: how often is the verification owed, and do the own standing records meet it?
_OWED = """
SELECT le.id, c.root, le.key,
  (SELECT count(*) FROM cluster m JOIN loop l ON l.subject = m.subject WHERE m.root = c.root AND l.key = le.key
     AND l.kind = 'leads.verify' AND l.closed_at IS NULL) AS owed,
  EXISTS (SELECT 1 FROM cluster m JOIN fact f ON f.subject = m.subject JOIN lead_verified v ON v.fact = f.id
          WHERE m.root = c.root AND v.episode = le.key AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = f.id)) AS answered
FROM lead le JOIN cluster c ON c.subject = le.subject WHERE le.merged_into IS NULL
"""


def _owed_wrongly() -> list[str]:
    found = _rows(_OWED)
    return [
        f"lead {lead}: owed {owed} times, answered {answered}" for lead, _, _, owed, answered in found if owed != (0 if answered else 1)
    ]
