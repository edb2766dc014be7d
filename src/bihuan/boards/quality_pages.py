"""The page of the quality of sources: what each alone found, its errors, its delay, what they share; those nobody found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_safe

from bihuan.access.permissions import Permission
from bihuan.boards import listing, quality, queries
from bihuan.boards.here import Window, crumbs, here, window
from bihuan.boards.rows import gaps
from bihuan.epi.capture import LISTS_MAX, Estimate
from bihuan.kernel.refused import Refused
from bihuan.leads.facts import LeadSource
from bihuan.leads.words import SOURCES
from bihuan.policy.queries import EVENT_KEY, event_in_use

FILES_SHOWN = 50
TITLES = {
    "found": _lazy("报来的人"),
    "alone": _lazy("只有它报来"),
    "first": _lazy("最先报来"),
    "delay": _lazy("到达→它报来"),
    "answered": _lazy("已核查"),
    "wrong_number": _lazy("号码不对"),
    "not_here": _lazy("不在本地"),
    "needless": pgettext_lazy("source", "不用管"),
}
WHY_NOT = {
    "few_lists": _lazy("至少要有两个来源，才能估计漏了多少人。"),
    "many_lists": _lazy("来源太多，最多选四个。"),
    "little_overlap": _lazy("这些来源几乎没有报过同一个人，看不出漏了多少，不能估计。"),
    "not_seen_alone": _lazy("只有一份写明是谁的名单，和只有号码的名单在一起不能估计，要再有一份名单。"),
    "all_again": _lazy("人人都至少有两个来源报过，没有迹象说有人漏了，也给不出范围。"),
    "no_model": _lazy("按这些来源的重合情况算不出来，不能估计。"),
    "too_wide": _lazy("重合的人太少，估计的上下限差十倍以上，没有用处，不给出数字。"),
}


@require_safe
def shown(request: HttpRequest, unit: int | None = None) -> HttpResponse:
    post, top = here(request, unit)
    event = event_in_use(request.session.get(EVENT_KEY))
    asked = window(request, event)
    units = [m.unit for m in queries.places(top.lo, top.hi)]
    found = quality.quality(asked.cut, units)
    there = [s.value for s in LeadSource if s in found.by_source]
    used = _used(request, there)
    missed = quality.missed(found.together, used)
    where, given = quality.lost(event, units)
    strays = len(queries.unreconciled(event))
    base, files = f"/sources/{top.unit}", quality.files(asked.cut)
    context = {
        "section": "overview",
        "board": "sources",
        "unit": top.unit,
        "region": top.region,
        "crumbs": crumbs(post, top, "/sources"),
        "cut_off": asked.cut.at,
        "window": asked.choices(base, use=_said(used, there)),
        "days": asked.days,
        "found": sum(t.n for t in found.together),
        "lost": {"n": queries.count(where, given) + strays, "strays": strays, "url": f"{base}/lost"},
        "missed": _missed(missed, base, asked),
        "choices": [{"source": s, "name": SOURCES[s], "is_chosen": s in used, "is_prompted": s in quality.PROMPTED} for s in there],
        "rows": [_row(found.by_source[s], files, base, asked) for s in there],
        "shared": [
            {
                "name": SOURCES[one],
                "cells": [
                    {
                        "n": found.shared(one, other),
                        "url": _url(base, asked, source=one, shared=other if other != one else ""),
                        "is_same": one == other,
                    }
                    for other in there
                ],
            }
            for one in there
        ],
        "names": [SOURCES[s] for s in there],
        "together": [
            {
                "name": _("、").join(str(SOURCES[s]) for s in t.sources),
                "is_number": t.is_number,
                "n": t.n,
                "url": _url(base, asked, exactly=t.sources, number=int(t.is_number)),
            }
            for t in found.together
        ],
        "files": [_file(f, post.may(Permission.LIST_IMPORT)) for f in files[:FILES_SHOWN]],
        "n_files": len(files),
    }
    return render(request, "boards/sources.html", context)


def _used(request: HttpRequest, there: Sequence[str]) -> list[str]:
    """The sources of the estimate: those that the address names, else all that find people by themselves."""
    named = request.GET.getlist("use")
    if not set(named) <= set(LeadSource):
        raise Refused("source_unknown", "没有这个来源。", "There is no such source.", "use")
    return [s for s in there if s in named][: LISTS_MAX + 1] if named else quality.usual(there)


def _said(used: Sequence[str], there: Sequence[str]) -> list[str] | None:
    """The choice as an address says it; nothing where it is the usual one."""
    return None if list(used) == quality.usual(there) else list(used)


def _url(base: str, asked: Window, **more: Any) -> str:
    return f"{base}/list?{asked.query(**more)}"


def _missed(missed: quality.Missed, base: str, asked: Window) -> dict[str, Any]:
    estimate = missed.estimate
    return {
        "used": _("、").join(str(SOURCES[s]) for s in missed.used),
        "loose": _("、").join(str(SOURCES[s]) for s in missed.loose),
        "n_numbers": missed.n_numbers,
        "numbers_url": _url(base, asked, number=1),
        "why_not": WHY_NOT[missed.reason] if missed.reason else "",
        "estimate": estimate and rounded(estimate),
        "models": [
            {
                "pairs": _("；").join(
                    [f"{SOURCES[missed.used[i]]}—{SOURCES[missed.used[j]]}" for i, j in m.pairs] + ([_("一批人处处都有")] if m.core else [])
                )
                or _("各不相干"),
                "missed": round(m.missed),
                "weight": round(100 * m.weight),
            }
            for m in (estimate.models if estimate else ())
        ][:8],
    }


def rounded(estimate: Estimate) -> dict[str, Any]:
    """Whole persons; the interval outwards."""
    return {
        "missed": round(estimate.missed),
        "low": int(estimate.low),
        "high": int(estimate.high) + 1,
        "found": estimate.found,
        "is_chapman": estimate.method == "chapman",
    }


def _row(source: quality.Source, files: Sequence[dict[str, Any]], base: str, asked: Window) -> dict[str, Any]:
    own = [f for f in files if f["source"] == source.source]
    return {
        "name": SOURCES[source.source],
        "source": source.source,
        "n_files": len(own),
        "n_rows": sum(f["n_rows"] for f in own),
        "rejected": sum(f["rejected"] for f in own),
        "median": source.median,
        "ninth": source.ninth,
        **{what: {"n": n, "url": _url(base, asked, source=source.source, what=what)} for what, n in source.counts.items()},
    }


def _file(file: dict[str, Any], may_open: bool) -> dict[str, Any]:
    return {
        **file,
        "source_name": SOURCES.get(file["source"], file["source"]),
        "url": f"/intake/{file['id']}" if may_open else "",
        "rejected_url": f"/intake/{file['id']}?outcome=rejected" if may_open else "",
    }


@require_safe
def people(request: HttpRequest, unit: int) -> HttpResponse:
    """The people whom a number counts."""
    _post, top = here(request, unit)
    asked = window(request, event_in_use(request.session.get(EVENT_KEY)))
    what, source, shared, number = (request.GET.get(name, "") for name in ("what", "source", "shared", "number"))
    exactly = request.GET.getlist("exactly")
    known = {"", *LeadSource}
    if what not in ("", *quality.WHATS) or not {source, shared, *exactly} <= known or number not in ("", "0", "1"):
        raise Refused("unit_not_found", "没有这份清单。", "There is no such list.")
    parts = [str(SOURCES[s]) for s in (source, shared) if s]
    parts += [_("、").join(str(SOURCES[s]) for s in exactly)] if exactly else []
    parts += [str(TITLES[what])] if source and what else []
    parts += [_("只有号码")] if number == "1" else []
    query = asked.query()
    above = [{"name": f"{top.region} · {_('来源质量')}", "url": f"/sources/{unit}{f'?{query}' if query else ''}"}]
    base = f"/sources/{unit}/list?{asked.query(what=what, source=source, shared=shared, exactly=exactly or None, number=number)}"
    context = listing.frame(base, " · ".join([top.region, *parts]), above, "overview")
    units = [m.unit for m in queries.places(top.lo, top.hi)]
    where, given = quality.listed(
        asked.cut, units, what=what, source=source, shared=shared, exactly=exactly, is_number=None if not number else number == "1"
    )
    return listing.listed(request, where, given, context)


@require_safe
def lost(request: HttpRequest, unit: int) -> HttpResponse:
    """Those on the books whom nobody answers for, by name: late and taken over by no desk, and leads without a duty."""
    post, top = here(request, unit)
    event = event_in_use(request.session.get(EVENT_KEY))
    units = [m.unit for m in queries.places(top.lo, top.hi)]
    above = [{"name": f"{top.region} · {_('来源质量')}", "url": f"/sources/{unit}"}]
    context = listing.frame(f"/sources/{unit}/lost", f"{top.region} · {_('脱管')}", above, "overview")
    context["also"] = gaps(queries.unreconciled(event), post)
    where, given = quality.lost(event, units)
    return listing.listed(request, where, given, context)
