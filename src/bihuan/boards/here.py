"""Whose figures a page shows: the reader's unit or one in its range, the lines below it, and the way back up."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from bihuan.access.middleware import allow
from bihuan.access.permissions import Permission, Role
from bihuan.boards import queries
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.leads import times

OWN = "own"  # the line of the top itself: its desk and the units in no range below
# How far back people are counted who were reported since; a matter of display, no duty depends on it. 0: all of the event.
DAYS = {1: _lazy("今天"), 3: _lazy("近三天"), 7: _lazy("近七天"), 0: _lazy("全程")}
DAYS_SHOWN = 7
UNIT_WORDS = {2: _lazy("县区"), 3: _lazy("乡镇"), 4: _lazy("村居")}


def not_found() -> Refused:
    return Refused("unit_not_found", "没有这个单位，或不归您看。", "There is no such unit, or it is not yours.")


def here(request: HttpRequest, unit: int | None) -> tuple[Any, queries.Place]:
    """The unit whose figures are asked for: the reader's own, or one in its range. Others are not there."""
    post = allow(request, Permission.FIGURES_READ, Permission.LEAD_READ)
    if post.role == Role.VILLAGE_WORKER:
        raise Refused("not_permitted", "村居请看“我的待办”。", "A village looks at “my work”.")
    return post, top_of(post, unit)


def top_of(post: Any, unit: int | None) -> queries.Place:
    """The place of a unit in the post's range, of its own where none is named. Refuses any other as one that is not there."""
    found = queries.place(unit or post.unit_id)
    lo, hi = post.scope
    if found is None or not (lo <= found.lo and found.hi <= hi):
        raise not_found()
    return found


def lines_of(top: queries.Place) -> tuple[list[queries.Place], dict[int, int]]:
    """The units that have a line on the page, and for every unit of the range the line to which it counts (the top's own: itself)."""
    members = queries.places(top.lo, top.hi)
    below = children(top, members)
    return below, {m.unit: next((b.unit for b in below if b.lo <= m.lo < b.hi), top.unit) for m in members}


def children(top: queries.Place, members: list[queries.Place]) -> list[queries.Place]:
    return [m for m in members if m.parent == top.unit and m.level > top.level and m.kind in ("desk", "village")]


def crumbs(post: Any, top: queries.Place, base: str = "/overview") -> list[dict[str, str]]:
    """Upwards as far as the reader's own unit."""
    found: list[dict[str, str]] = []
    parent, lo_hi = top.parent, post.scope
    while top.unit != post.unit_id and parent is not None and len(found) < 3:
        above = queries.place(parent)
        if above is None or not (lo_hi[0] <= above.lo and above.hi <= lo_hi[1]):
            break
        found.insert(0, {"name": above.region, "url": f"{base}/{above.unit}"})
        parent = above.parent if above.unit != post.unit_id else None
    return found


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a page: its name, its units, and the units of the page that lie in a line below the top itself."""

    name: str
    units: list[int]
    below: list[int]


def line_of(of: str, top: queries.Place) -> Line:
    """The line that an address names: "" is all of the page, `OWN` the top itself, else a unit below. Refuses one that is not there."""
    members = queries.places(top.lo, top.hi)
    lines = children(top, members)
    own = set(queries.own_units(members, lines))
    below = [m.unit for m in members if m.unit not in own]
    if not of:
        return Line(top.region, [m.unit for m in members], below)
    if of == OWN:
        return Line(f"{top.region}（{_('本级')}）", [m.unit for m in members if m.unit in own], below)
    found = next((b for b in lines if str(b.unit) == of), None)
    if found is None:
        raise not_found()
    return Line(found.region, [m.unit for m in members if found.lo <= m.lo < found.hi], below)


@dataclasses.dataclass(frozen=True)
class Window:
    """Which people a page counts: reported in the last `days` (0: all of the event), up to `at` ("" = now)."""

    days: int
    at: str
    cut: times.Cut

    def query(self, **more: Any) -> str:
        """The address's question for the same people, with further fields; what is usual is left out."""
        given = {"days": self.days if self.days != DAYS_SHOWN else None, "at": self.at, **more}
        return urlencode({name: value for name, value in given.items() if value not in ("", None)}, doseq=True)

    def choices(self, base: str, **more: Any) -> list[dict[str, Any]]:
        found = []
        for days, label in DAYS.items():
            query = dataclasses.replace(self, days=days).query(**more)
            found.append({"label": label, "url": f"{base}?{query}" if query else base, "is_chosen": days == self.days})
        return found


def window(request: HttpRequest, event: int) -> Window:
    """What the address asks. Refuses days that are not offered, a time that is none or lies before the first seal."""
    days, at = request.GET.get("days") or str(DAYS_SHOWN), request.GET.get("at", "").strip()
    if days not in {str(d) for d in DAYS}:
        raise Refused("days_unknown", "只能选今天、近三天、近七天或全程。", "Choose today, three days, seven days or all.", "days")
    return window_of(event, int(days), at)


def window_of(event: int, days: int, at: str = "") -> Window:
    moment: datetime | None = None
    try:
        moment = clock.parse_local(at) if at else None
        until = (moment or clock.now()).astimezone(clock.SHANGHAI)
        since = clock.day_start(until.date() - timedelta(days=days - 1)) if days else None
    except (ValueError, OverflowError) as error:
        raise Refused(
            "time_unreadable", f"看不懂的时刻“{at}”，请写成 2022-08-28T20:00。", f"“{at}” is no time: write 2022-08-28T20:00.", "at"
        ) from error
    return Window(days, at, times.cut(event, since=since, at=moment))
