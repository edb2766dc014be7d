"""The page of the three times: how soon people are known, taken over, settled; by source and by unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_safe

from bihuan.boards import listing, times
from bihuan.boards.here import OWN, UNIT_WORDS, Window, crumbs, here, line_of, lines_of, window
from bihuan.kernel.refused import Refused
from bihuan.leads.facts import LeadSource
from bihuan.leads.words import SOURCES
from bihuan.policy.queries import EVENT_KEY, event_in_use

TITLES = {
    "persons": _lazy("要核查的人"),
    "known": _lazy("到达→知晓"),
    "taken": _lazy("知晓→接管"),
    "settled": _lazy("接管→落实"),
    "foreseen": _lazy("到达前已知晓"),
    "ahead": _lazy("还没到"),
    "no_time": _lazy("不知道几点到"),
    "waits": _lazy("还没接管"),
    "open": pgettext_lazy("times", "还没落实"),
}


@require_safe
def shown(request: HttpRequest, unit: int | None = None) -> HttpResponse:
    post, top = here(request, unit)
    asked = window(request, event_in_use(request.session.get(EVENT_KEY)))
    below, line_of_unit = lines_of(top)
    found = times.figures(asked.cut, line_of_unit)
    base = f"/times/{top.unit}"
    lines = [_line(_("本级"), found.by_line.get(top.unit), base, asked, of=OWN)]
    query = asked.query()
    lines += [
        _line(b.region, found.by_line.get(b.unit), base, asked, of=str(b.unit))
        | {"url": f"/times/{b.unit}{f'?{query}' if query else ''}" if b.kind == "desk" else "", "zone": b.is_zone}
        for b in below
    ]
    context = {
        "section": "overview",
        "board": "times",
        "unit": top.unit,
        "region": top.region,
        "crumbs": crumbs(post, top, "/times"),
        "cut_off": asked.cut.at,
        "is_past": asked.cut.seal is not None,
        "at": asked.at,
        "days": asked.days,
        "window": asked.choices(base),
        "total": _line(_("合计"), found.total, base, asked),
        "sources": [_line(str(SOURCES.get(s, s)), found.by_source[s], base, asked, source=s) for s in LeadSource if s in found.by_source],
        "lines": lines,
        "unit_word": UNIT_WORDS.get(top.level, ""),
    }
    return render(request, "boards/times.html", context)


def _line(name: str, figures: times.Figures | None, base: str, asked: Window, *, of: str = "", source: str = "") -> dict[str, Any]:
    """One row of a table: every number with the list that it counts."""
    figures = figures or times.NOBODY

    def url(what: str) -> str:
        return f"{base}/list?{asked.query(what=what, of=of, source=source)}"

    stages: Mapping[str, times.Stage] = figures.stages
    return {
        "name": name,
        "url": "",
        "stages": [
            {"name": TITLES[s], "n": stages[s].n, "median": stages[s].median, "ninth": stages[s].ninth, "url": url(s)} for s in stages
        ],
        **{what: {"n": n, "url": url(what)} for what, n in figures.counts.items()},
    }


@require_safe
def people(request: HttpRequest, unit: int) -> HttpResponse:
    """The people whom a number counts."""
    _post, top = here(request, unit)
    asked = window(request, event_in_use(request.session.get(EVENT_KEY)))
    what, of, source = (request.GET.get(name, "") for name in ("what", "of", "source"))
    if (what or "persons") not in times.WHATS or source not in ("", *LeadSource):
        raise Refused("unit_not_found", "没有这份清单。", "There is no such list.")
    line = line_of(of, top)
    title = f"{line.name} · {TITLES[what or 'persons']}" + (f" · {SOURCES[source]}" if source else "")
    query = asked.query()
    above = [{"name": f"{top.region} · {_('三个时间')}", "url": f"/times/{unit}{f'?{query}' if query else ''}"}]
    context = listing.frame(f"/times/{unit}/list?{asked.query(what=what, of=of, source=source)}", title, above, "overview")
    where, given = times.listed(asked.cut, line.units, what or "persons", source)
    return listing.listed(request, where, given, context)
