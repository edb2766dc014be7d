"""My work: the post's open duties, and duties changing hands."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from bihuan.access import late
from bihuan.access.middleware import allow, reading
from bihuan.access.pages import act_of, new_act, number, once
from bihuan.access.permissions import Permission, Role
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.leads import actions, bulk, forms, group_text, queries, support_pages, to_decide
from bihuan.leads.lines import lines
from bihuan.leads.saving import UNDO_KEY, home, remember, window
from bihuan.leads.words import KINDS
from bihuan.loops.writes import BULK_MAX
from bihuan.regions import queries as regions


def _link(base: str, **values: Any) -> str:
    kept = {name: value for name, value in values.items() if value}
    return f"{base}?{urlencode(kept)}" if kept else base


def state_words() -> dict[str, str]:
    return {"mine": _("我们的"), "offered": _("待接收"), "late": _("超时"), "helped": _("请我们协助"), "all": _("范围内全部")}


def filter_of(data: Mapping[str, str], post: Any, below: list[dict[str, Any]]) -> tuple[queries.Filter, dict[str, Any] | None]:
    """Which duties the reader's list shows, from its address or from a form that repeats it; and the unit below, if one is named."""
    state = data.get("state", "")
    state = "hands" if post.role == Role.VILLAGE_WORKER else state if state in queries.STATES else "mine"
    kind = data.get("kind", "") if data.get("kind") in KINDS else ""
    unit = next((u for u in below if str(u["id"]) == data.get("unit")), None)
    within = regions.unit_range(unit["id"]) if unit else None
    holder = number(data.get("holder", "")) if state != "hands" else 0
    return queries.Filter(state=state, kind=kind, within=within, q=data.get("q", "").strip()[:50], holder=holder or None), unit


@require_safe
def my_work(request: HttpRequest) -> HttpResponse:
    """The post's open duties, the first deadline first."""
    post = allow(request, Permission.LEAD_READ)
    now = clock.now()
    village = post.role == Role.VILLAGE_WORKER
    # Chosen from are the units of the next level; one further below comes in the address of a list.
    below = [] if village else queries.units_below(post.unit_id, next_only=not request.GET.get("unit"))
    chosen, unit = filter_of(request.GET, post, below)
    state, kind, q = chosen.state, chosen.kind, chosen.q
    tomorrow = clock.day_start(clock.today() + timedelta(days=1))
    n = queries.counts_of_states(post.unit_id, now, tomorrow, wide=not village)
    # Where nothing is offered, what is in our hands is what we hold: that lies in an index in the order of the page.
    held_only = state == "hands" and not n["offered"]
    where, given = (dataclasses.replace(chosen, state="mine") if held_only else chosen).sql(post.unit_id, now)
    page = queries.page_of(where, given, after=request.GET.get("after", ""), before=request.GET.get("before", ""))
    kept = {
        "state": "" if state in ("mine", "hands") else state,
        "kind": kind,
        "unit": unit["id"] if unit else "",
        "holder": chosen.holder or "",
        "q": q,
    }
    narrowed = bool(q or kind or unit or chosen.holder)
    filters = None
    if not village:
        words = state_words()
        filters = {
            "q": q,
            "state": "" if state == "mine" else state,
            "unit": unit["id"] if unit else "",
            "kind": kind,
            "holder": chosen.holder,
            "url": "/duties",
            "states": [
                {
                    "key": "" if s == "mine" else s,
                    "label": words[s],
                    "n": n[s],
                    "url": _link("/duties", **{**kept, "state": "" if s == "mine" else s}),
                }
                for s in queries.STATES
            ],
            "units": [u for u in below if u["parent"] == post.unit_id],
            "kinds": [{"key": k, "label": label} for k, label in KINDS.items()],
            "narrowed": narrowed or state != "mine",
        }
    rows = lines(request, page.duties, now)
    coming = (
        next((d["due_at"] for d in page.duties if d["due_at"] and d["due_at"] > now), None) if state == "mine" and not narrowed else None
    )
    bulk = not village and post.may(Permission.DUTY_MOVE) and bool(rows)
    context = {
        "section": "work",
        "village": village,
        "n_today": n["today"],
        "n_late": n["mine_late"],
        "saved": queries.saved_calls(post.unit_id, clock.day_start(clock.today())) if village else None,
        "rows": rows,
        "bulk": bulk,
        "assignees": queries.officers_of(post.unit_id) if bulk and state == "mine" else [],
        "return_reasons": [{"code": code, "sentence": text} for code, text in forms.RETURNS.items()],
        "many": queries.MANY,
        "act": new_act(),
        "here": request.get_full_path(),
        "batch": {
            "accept_url": "/duties/accept" if any(row["offered"] for row in rows) and state in ("offered", "all") else "",
            "assign_url": "/duties/assign" if state == "mine" else "",
            "return_url": {"mine": "/duties/return", "offered": "/duties/decline"}.get(state, ""),
            "reassign_url": "/duties/reassign" if below and state != "offered" else "",
        },
        "filters": filters,
        # A desk without duties of its own is still the one that villages ask: it is sent there, not to bed.
        "asked": {"n": n["helped"], "url": _link("/duties", state="helped")} if not village and n["helped"] else None,
        "busy_below": {"n": n["all"], "url": _link("/duties", state="all")} if not village and n["all"] else None,
        "import_url": "/intake/upload" if not village and post.may(Permission.LIST_IMPORT) and not n["all"] else "",
        "page": {
            "shown": len(rows),
            "total": n[state] if not (narrowed or village) and n[state] <= queries.MANY else None,
            "before_url": _link("/duties", **kept, before=page.before) if page.before else "",
            "after_url": _link("/duties", **kept, after=page.after) if page.after else "",
        },
        "frozen": kept if rows else None,
        "list_act": new_act(),
        "decide": None if village or _wants_rows(request) else to_decide.waiting(post, beside_list=True),
        "support": None if _wants_rows(request) else support_pages.section(post),
        "group_text": "" if village else group_text.work(post.unit.name, n, next_at=coming, now=now),
        "n_late_entries": late.n_waiting() if village else 0,
    }
    return render(request, "leads/_work_rows.html" if _wants_rows(request) else "leads/my_work.html", context)


def _undo_many(request: HttpRequest, act: UUID) -> HttpResponse:
    with once(request, ids.derived_id(act, "undo")):  # its parts know a repetition; here the second click waits for the first
        done = bulk.take_back(by=request.post, act=act)
    if isinstance(done, Refused):
        raise done
    if done.n_left:
        messages.warning(request, _("撤回了 %(n)s 件；%(left)s 件后面已有办理，没有撤。") % {"n": done.n, "left": done.n_left})
    else:
        messages.success(request, _("已全部撤回，和没办过一样。"))
    return HttpResponseRedirect(f"/plans/{act}")


def _wants_rows(request: HttpRequest) -> bool:
    return bool(request.htmx) and request.htmx.target == "work"


@require_safe
def units_below(request: HttpRequest) -> HttpResponse:
    """The units to which duties may be reassigned, asked for when somebody opens that box: a city has two thousand."""
    post = allow(request, Permission.DUTY_MOVE)
    below = [] if post.role == Role.VILLAGE_WORKER else queries.units_below(post.unit_id)
    return render(request, "leads/_units_below.html", {"groups": targets(below, post)})


def targets(below: list[dict[str, Any]], post: Any) -> list[dict[str, Any]]:
    """Units to which a superior may reassign: itself, and those below, grouped by the desk above them."""
    groups: dict[int, dict[str, Any]] = {0: {"name": _("本级"), "units": [{"id": post.unit_id, "name": post.unit.name}]}}
    for unit in below:
        groups.setdefault(unit["parent"], {"name": unit["parent_name"], "units": []})["units"].append(unit)
    return list(groups.values())


def picked(request: HttpRequest) -> list[int]:
    """The duties chosen on a page."""
    return sorted(shown(request))


def shown(request: HttpRequest) -> dict[int, str]:
    """The duties chosen, and what the page showed of each: who held it, who worked on it, who was asked ("" where it says nothing)."""
    chosen: dict[int, str] = {}
    for text in request.POST.getlist("loop")[: BULK_MAX + 1]:
        number, _dot, seen = text.partition(".")
        if number.isascii() and number.isdecimal() and len(number) < 19:
            chosen[int(number)] = seen
    if not chosen:
        raise Refused("nothing_chosen", "请先选中要办的人。", "Please choose some lines first.")
    return chosen


@require_POST
def move(request: HttpRequest, verb: str) -> HttpResponse:
    """Accept, assign, return or reassign the chosen duties. The same form sent twice is one act."""
    post = allow(request, Permission.DUTY_MOVE)
    page_act, chosen = act_of(request), shown(request)
    loops, seen = sorted(chosen), {loop: seen for loop, seen in chosen.items() if seen}
    reason = forms.stored(forms.RETURNS, request.POST.get("reason", "")) or " ".join(request.POST.get("why", "").split())[:200]
    if verb == "accept":
        call, text = (actions.accept, {}), _("已接收 %(n)s 件")
    elif verb == "assign":
        call, text = (actions.assign, {"officer": number(request.POST.get("assignee", "")) or None}), _("已分派 %(n)s 件")
    elif verb == "reassign":
        unit = number(request.POST.get("to_unit", ""))
        if not unit:
            raise Refused("unit_missing", "请选择改派给哪个单位。", "Please choose the unit.", "to_unit")
        reason = reason or "上级改派"
        call, text = (actions.reassign, {"to_unit": unit, "reason": reason}), _("已改派 %(n)s 件")
    else:  # declined: offered to us; returned: held by us, offered to the desk above
        call, text = (actions.decline if verb == "decline" else actions.give_back, {"reason": reason}), _("已退回 %(n)s 件")
    action, more = call
    act = ids.derived_id(page_act, verb, *loops, *sorted(more.items()))
    with once(request, act):  # the doors know a repeated act; here the second click only waits for the first
        done = action(by=post, loops=loops, act=act, seen=seen, **more)
    if isinstance(done, Refused):
        raise done
    with reading(request):
        pack = queries.rows("SELECT pack FROM loop WHERE id = ANY(%s) LIMIT 1", [loops])
    if pack and verb != "decline":
        remember(request, text % {"n": done.n}, act, window(pack[0]["pack"]))
    else:
        messages.success(request, text % {"n": done.n})
    return HttpResponseRedirect(home(request))


@require_POST
def undo(request: HttpRequest, act: UUID) -> HttpResponse:
    """Take back one's own act while nothing rests on it."""
    post = allow(request, Permission.LEAD_READ)
    request.session.pop(UNDO_KEY, None)
    with reading(request):
        many = bulk.is_bulk(act)
    if many:
        return _undo_many(request, act)
    with once(request, ids.derived_id(act, "undo")) as known:
        done = None if known else actions.undo(by=post, act=act)
    if isinstance(done, Refused):
        raise done
    messages.success(request, _("已撤回，和没办过一样。"))
    return HttpResponseRedirect(home(request))
