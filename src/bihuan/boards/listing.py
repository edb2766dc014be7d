"""The page of a list of duties behind a figure: what it counts, no more and no fewer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from bihuan.boards import queries
from bihuan.kernel import clock
from bihuan.leads import queries as leads
from bihuan.leads.lines import lines


def frame(base: str, title: str, crumbs: Sequence[Mapping[str, str]], section: str) -> dict[str, Any]:
    """What every list has. `base`: its own address; pages before and after ask it with a further field."""
    return {
        "section": section,
        "village": False,
        "bulk": False,
        "filters": None,
        "list_title": title,
        "cut_off": f"{clock.now().astimezone(clock.SHANGHAI):%H:%M:%S}",
        "here": base,
        "crumbs": crumbs,
    }


def listed(
    request: HttpRequest,
    where: str,
    given: Mapping[str, Any],
    context: dict[str, Any],
    *,
    is_open: bool = False,
    counted: int | None = None,
) -> HttpResponse:
    """The page of the duties `l` that a condition means; `counted`: the figure by the counts, where it is kept apart."""
    base = context["here"]
    more = f"{base}&" if "?" in base else f"{base}?"
    page = leads.page_of(where, given, after=request.GET.get("after", ""), before=request.GET.get("before", ""), is_open=is_open)
    shown, total = lines(request, page.duties, clock.now()), queries.count(where, dict(given))
    context |= {
        "rows": shown,
        "away": max(0, counted - total) if counted is not None else 0,
        "page": {
            "shown": len(shown),
            "total": total,
            "before_url": f"{more}before={page.before}" if page.before else "",
            "after_url": f"{more}after={page.after}" if page.after else "",
        },
    }
    return render(request, "boards/list.html", context)
