"""等我拍板: what waits for the decision of this very officer, here and now. Two statements, whoever asks.

Rules that another proposed, an event's end and waivers that want a second signature (never one's own), duties that another
unit offers, two contents of one record, two records that may be one person, records that came to a shut door. Whatever
the post may not decide is not counted. Nothing here decides: each line leads to the page where it is done.
"""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

import dataclasses
from typing import Any

from django.utils.translation import gettext as _

from bihuan.access import late
from bihuan.access.permissions import Permission
from bihuan.identity.loops import SETTLE
from bihuan.kernel import clock
from bihuan.leads import duty_lists
from bihuan.leads.queries import MANY, asked
from bihuan.loops import tallies
from bihuan.loops.conflicts import CONTRADICTION

LINES_MAX = 5
_MORE = MANY + 1  # beyond it nothing is counted, as in my work

# Each part is one row: how many, and of the longest waiting one its number, who asks, and since when. Waiting rows lie in
# indexes of their own; duties of a kind are those counted with the acts.
_PROPOSALS = """
SELECT 'proposal' AS what, count(*)::int AS n, (array_agg(p.id::text ORDER BY p.proposed_at))[1] AS first,
       (array_agg(r.name ORDER BY p.proposed_at))[1] AS name, min(p.proposed_at) AS since, 0 AS duties
FROM adoption_proposal p JOIN region r ON r.id = p.region_id
JOIN region_scope s ON s.region_id = r.id AND s.valid @> %(on)s::date AND s.scope >= %(lo)s AND s.scope < %(hi)s
WHERE p.outcome IS NULL AND p.by_officer <> %(officer)s"""
_ENDINGS = """
SELECT 'ending', count(*)::int, (array_agg(d.event::text ORDER BY d.asked_at))[1], (array_agg(e.name ORDER BY d.asked_at))[1], min(d.asked_at), 0
FROM ending d JOIN event e ON e.id = d.event WHERE d.signed_at IS NULL AND d.asked_officer <> %(officer)s"""
_PLANS = f"""
SELECT 'plan', count(*)::int, (array_agg(b.act::text ORDER BY b.made_at))[1], (array_agg(o.name ORDER BY b.made_at))[1], min(b.made_at),
       coalesce(sum(cardinality(b.loops)), 0)::int
FROM bulk_act b JOIN officer o ON o.id = b.officer WHERE {duty_lists.UNSIGNED}"""
_OFFERS = """
SELECT 'offer', count(*)::int, '', '', NULL::timestamptz, 0
FROM (SELECT 1 FROM loop l WHERE l.closed_at IS NULL AND l.offered_to = %(unit)s LIMIT %(more)s) x"""
_HELD = f"""
SELECT t.kind, sum(t.opened + t.moved_in - t.closed - t.moved_out)::int, '', '', NULL::timestamptz, 0
FROM event e CROSS JOIN LATERAL {tallies.lines("event = e.id AND unit = %(unit)s AND kind = ANY(%(kinds)s)")} t
WHERE e.ended_on IS NULL GROUP BY t.kind"""


@dataclasses.dataclass(frozen=True)
class Line:
    """One paragraph: what waits, how many of it, and where it is decided."""

    what: str
    n: int
    text: str
    url: str
    go: str
    since: Any = None


@dataclasses.dataclass(frozen=True)
class Waiting:
    """`n`: everything together; `lines`: at most LINES_MAX of it, what binds others first; `more`: what they leave out."""

    n: int
    lines: list[Line]
    more: int


def waiting(post: Any, *, beside_list: bool = False) -> Waiting:
    """What waits for this officer. `beside_list`: without the duties that a list of work beside it shows anyway."""
    asked_of = {
        _PROPOSALS: post.may(Permission.PACK_ADOPT),
        _ENDINGS: post.may(Permission.EVENT_END),
        _PLANS: post.may(Permission.DUTY_WAIVE),
        _OFFERS: post.may(Permission.DUTY_MOVE) and not beside_list,
        _HELD: not beside_list,
    }
    kinds = [k.name for k, needs in ((SETTLE, Permission.IDENTITY_SETTLE), (CONTRADICTION, Permission.FACT_VOID)) if post.may(needs)]
    parts = [part for part, may in asked_of.items() if may]
    lo, hi = post.territory
    given = {
        "on": clock.today(), "now": clock.now(), "lo": lo, "hi": hi, "officer": post.officer_id, "unit": post.unit_id,
        "kinds": kinds, "more": _MORE,
    }  # fmt: skip
    found = {row["what"]: row for row in asked(f"{_HEAD} UNION ALL {' UNION ALL '.join(parts)}", given)} if parts else {}
    lines = [line for what, words in _WORDS.items() if (row := found.get(what)) and row["n"] > 0 for line in (words(row),)]
    if n_late := late.n_waiting():
        text = _("%(n)s 条记录等您确认：锁屏或停用以后交来的，还没有记上。") % {"n": n_late}
        lines.append(Line("late", n_late, text, "/late", _("去确认")))
    return Waiting(sum(line.n for line in lines), lines[:LINES_MAX], sum(line.n for line in lines[LINES_MAX:]))


# The names of the columns, for whichever part comes first.
_HEAD = "SELECT '' AS what, 0 AS n, '' AS first, '' AS name, NULL::timestamptz AS since, 0 AS duties"


def _n(row: dict[str, Any]) -> str:
    return str(row["n"]) if row["n"] <= MANY else _("%(n)s 以上") % {"n": MANY}


def _proposal(row: dict[str, Any]) -> Line:
    url = f"/rules/proposals/{row['first']}" if row["n"] == 1 else "/rules"
    if row["n"] == 1:
        text = _("%(name)s要换防控规定，别人已提出，等您签第二个名；会影响谁，点开看得到。") % row
    else:
        text = _("%(n)s 份换防控规定的建议等您签第二个名，最早的是%(name)s。") % row
    return Line("proposal", row["n"], text, url, _("看过再签"), row["since"])


def _ending(row: dict[str, Any]) -> Line:
    text = _("“%(name)s”的个人信息要销毁，等您签第二个名；签了就不能恢复。") % {"name": _(row["name"])}
    return Line("ending", row["n"], text, f"/events?event={row['first']}", _("看过再签"), row["since"])


def _plan(row: dict[str, Any]) -> Line:
    if row["n"] == 1:
        text, url = _("%(name)s请您签字：免办 %(duties)s 件。不办了，要有理由。") % row, f"/plans/{row['first']}"
    else:
        text, url = _("%(n)s 批免办等您签字，一共 %(duties)s 件，最早的是%(name)s提出的。") % row, "/lists"
    return Line("plan", row["n"], text, url, _("看过再签"), row["since"])


def _offer(row: dict[str, Any]) -> Line:
    text = _("别的单位移交来 %(n)s 件，等您接收；接收之前仍由对方管。") % {"n": _n(row)}
    return Line("offer", row["n"], text, "/duties?state=offered", _("去接收"))


def _settle(row: dict[str, Any]) -> Line:
    text = _("%(n)s 对名单像是同一个人，等您定是不是。") % {"n": _n(row)}
    return Line("settle", row["n"], text, f"/duties?kind={SETTLE.name}", _("去核对"))


def _contradiction(row: dict[str, Any]) -> Line:
    text = _("%(n)s 条记录两次写的不一样，等您定哪一次算数。") % {"n": _n(row)}
    return Line("contradiction", row["n"], text, f"/duties?kind={CONTRADICTION.name}", _("去核对"))


# In this order: what binds others before what binds oneself.
_WORDS = {
    "proposal": _proposal,
    "ending": _ending,
    "plan": _plan,
    "offer": _offer,
    CONTRADICTION.name: _contradiction,
    SETTLE.name: _settle,
}
