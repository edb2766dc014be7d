"""复制到群: a page's figures as a paragraph for a chat group. Units and numbers only, never a person.

What goes into a group goes everywhere. So nothing here takes a person, a telephone or an address: titles, units, counts
and moments are all that the functions can be given. What the page says, the paragraph says, with its cut-off.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from bihuan.kernel import clock
from bihuan.leads.queries import MANY
from bihuan.leads.words import day_words

UNITS_MAX = 40  # lines of a paragraph; a longer one is not read on a telephone


@dataclasses.dataclass(frozen=True)
class UnitLine:
    """A unit's counts, as the overview shows them."""

    unit: str
    held: int
    new: int
    closed: int
    late: int


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(clock.SHANGHAI):%H:%M}"


def _head(title: str, now: datetime) -> str:
    return _("【%(title)s】截至 %(day)s %(time)s") % {"title": title, "day": day_words(now.astimezone(clock.SHANGHAI)), "time": _time(now)}


def _foot(next_at: datetime | None, now: datetime) -> list[str]:
    """When the next deadline falls, and what a group is not for."""
    coming = [_("下一个到点：%(time)s。") % {"time": _time(next_at)}] if next_at and next_at > now else []
    return [*coming, _("名单请到系统里看，群里不发姓名、电话、证件号码。")]


def overview(title: str, total: UnitLine, units: Sequence[UnitLine], *, gap: int, next_at: datetime | None, now: datetime) -> str:
    """The overview of a city, county or township: sums, then each unit that has anything, the late ones first."""
    busy = [u for u in units if u.held or u.new or u.closed or u.late]
    shown = sorted(busy, key=lambda u: -u.late)[:UNITS_MAX]
    lines = [_head(title, now), _counts("", total) + _("对不上的人 %(n)s。") % {"n": gap}]
    lines += [_counts(u.unit, u) for u in shown]
    if len(busy) > len(shown):
        lines.append(_("另有 %(n)s 个单位在办，没有列出。") % {"n": len(busy) - len(shown)})
    if quiet := len(units) - len(busy):
        lines.append(_("其余 %(n)s 个单位没有在管的。") % {"n": quiet})
    if late := sum(u.late > 0 for u in units):
        lines.append(_("有超时的 %(n)s 个单位请先办；忙不过来请说一声，上一级来帮。") % {"n": late})
    return "\n".join([*lines, *_foot(next_at, now)])


def _counts(unit: str, of: UnitLine) -> str:
    said = _("在管 %(held)s 件，今日新增 %(new)s，今日办结 %(closed)s，超时 %(late)s。") % {
        "held": of.held, "new": of.new, "closed": of.closed, "late": of.late,
    }  # fmt: skip
    return _("%(unit)s：%(said)s") % {"unit": unit, "said": said} if unit else said


def _n(value: int) -> str:
    """A count that stopped beyond what a page counts is said as more."""
    return str(value) if value <= MANY else _("%(n)s 以上") % {"n": MANY}


def work(unit: str, n: Mapping[str, int], *, next_at: datetime | None, now: datetime) -> str:
    """My work of a desk, by its states (queries.counts_of_states)."""
    said = {name: _n(value) for name, value in n.items()}
    lines = [_head(unit, now), _("本单位：在办 %(mine)s 件，今天到时 %(today)s，超时 %(mine_late)s，待接收 %(offered)s。") % said]
    lines.append(_("范围内全部：在办 %(all)s 件，超时 %(late)s；请我们协助 %(helped)s 件。") % said)
    return "\n".join([*lines, *_foot(next_at, now)])


def duty_list(unit: str, code: str, counts: Mapping[str, Any], kinds: Sequence[Mapping[str, Any]], *, n: int, now: datetime) -> str:
    """A list under its number: how many there were, what is left to do of each kind."""
    lines = [
        _head(unit, now),
        _("清单 %(code)s 共 %(n)s 件：还要办 %(open)s，已办结或已转走 %(ended)s。") % {"code": code, "n": n, **counts},
    ]
    lines += [_("%(kind)s：%(n)s 件") % {"kind": kind["name"], "n": kind["n"]} for kind in kinds]
    return "\n".join([*lines, *_foot(None, now)])
