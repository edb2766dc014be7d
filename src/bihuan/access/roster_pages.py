"""The roster of a township: who works in its villages and grids, a code to read out, and the end of a turn."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bihuan.access import actions, holdings, limits, queries
from bihuan.access.middleware import allow, refusal
from bihuan.access.models import Device, Post
from bihuan.access.pages import act_of, error_of, new_act, number
from bihuan.access.permissions import Permission, Role
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused

PAGE = 50
_BY_PHONE = [role for role in Role if role.signs_in_by_phone]


@never_cache
@require_safe
def roster(request: HttpRequest) -> HttpResponse:
    return _page(request, allow(request, Permission.ROSTER_KEEP))


def _page(request: HttpRequest, post: Post, *, errors: list | None = None, form: Any = None, choices: list | None = None) -> HttpResponse:
    q, after = request.GET.get("q", "").strip()[:40], request.GET.get("after", "")
    rows = queries.officers(post, roles=_BY_PHONE, q=q, after=number(after), limit=PAGE + 1)
    context = {
        "section": "roster", "rows": rows[:PAGE], "q": q, "errors": errors or [], "form": form or {}, "choices": choices or [],
        "after": rows[PAGE - 1].post if len(rows) > PAGE else None, "act": new_act(),
    }  # fmt: skip
    return render(request, "access/roster.html", context, status=409 if errors else 200)


def unit_of(request: HttpRequest, post: Post, *, kind: str = "") -> tuple[int | None, list[tuple[int, str, str]], list[dict[str, str]]]:
    """The unit that a form names, by number or by name; else those that it may mean, and what to say."""
    chosen, name = request.POST.get("unit_id", ""), request.POST.get("unit", "").strip()[:60]
    if chosen:
        return number(chosen), [], []
    found = queries.units_named(post, name, kind=kind) if name else []
    exact = [row for row in found if row[1] == name]
    if len(exact) == 1 or (len(found) == 1 and not exact):
        return (exact or found)[0][0], [], []
    if found:
        return None, found, [{"field": "id_unit", "sentence": _("有几个单位叫这个名字，请点一个。"), "code": "unit_unclear"}]
    return None, [], [{"field": "id_unit", "sentence": _("没有找到这个单位，请写全名。"), "code": "unit_not_found"}]


def until_of(request: HttpRequest) -> date | None:
    text = request.POST.get("until", "")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Refused(
            "date_unreadable", "日期看不懂，请重新选。", "That date cannot be read; please choose it again.", "id_until"
        ) from None


@require_POST
def enter(request: HttpRequest) -> HttpResponse:
    post = allow(request, Permission.ROSTER_KEEP)
    unit, choices, errors = unit_of(request, post, kind="village")
    if unit is not None:
        try:
            made = actions.enter_worker(
                by=post, name=request.POST.get("name", ""), phone=request.POST.get("phone", ""), unit=unit, until=until_of(request)
            )
        except Refused as refused:
            made = refused
        if not isinstance(made, Refused):
            return HttpResponseRedirect(f"/roster?{urlencode({'q': ''.join(request.POST.get('phone', '').split())})}")
        if made.code.endswith("_not_found"):
            return refusal(request, made)
        errors = [error_of(made)]
    return _page(request, post, errors=errors, form=request.POST, choices=choices)


@never_cache
@require_POST
def code(request: HttpRequest) -> HttpResponse:
    """A code, in big type, to be read out or printed; shown once."""
    post = allow(request, Permission.ROSTER_KEEP)
    officer = request.POST.get("officer", "")
    made = actions.give_code(by=post, officer=number(officer))
    if isinstance(made, Refused):
        return refusal(request, made)
    row = queries.officers(post, roles=_BY_PHONE, only=[made.officer])[0]
    return render(
        request, "access/code.html", {"section": "roster", "row": row, "code": made.code, "minutes": limits.of("BIHUAN_CODE_MINUTES")}
    )


@never_cache
@require_safe
def ending(request: HttpRequest, turn: int) -> HttpResponse:
    """Who takes what the worker holds, before the turn ends."""
    by = allow(request, Permission.ROSTER_KEEP)
    return _ending(request, by, turn)


def _ending(request: HttpRequest, by: Post, post: int, errors: list | None = None) -> HttpResponse:
    row = _row(by, post)
    context = {
        "section": "roster", "row": row, "held": holdings.count(row.officer, row.unit),
        "colleagues": queries.colleagues(row.unit, row.officer),
        "devices": list(Device.objects.filter(officer=row.officer, revoked_at=None, until__gt=clock.real_now())),
        "act": new_act(), "url": f"/roster/{post}", "errors": errors or [],
    }  # fmt: skip
    return render(request, "access/end_post.html", context, status=409 if errors else 200)


def _row(by: Post, post: int) -> queries.OfficerRow:
    found = queries.officers(by, roles=_BY_PHONE, after=post - 1, limit=1)
    if not found or found[0].post != post:
        raise Refused("officer_not_found", "没有这个人，或不归您管。", "There is no such officer, or not in your range.")
    return found[0]


def successor_of(request: HttpRequest) -> dict[str, Any]:
    chosen = request.POST.get("successor", "")
    return {"successor": number(chosen) or None, "to_desk": chosen == "desk"}


@require_POST
def end(request: HttpRequest, turn: int) -> HttpResponse:
    by = allow(request, Permission.ROSTER_KEEP)
    done = actions.end_post(by=by, post=turn, act=act_of(request), **successor_of(request))
    if isinstance(done, Refused):
        if done.code in ("post_holds", "officer_elsewhere"):
            return _ending(request, by, turn, [error_of(done)])
        return refusal(request, done)
    return HttpResponseRedirect("/roster")


@require_POST
def stop_device(request: HttpRequest, device: UUID) -> HttpResponse:
    by = allow(request, Permission.ROSTER_KEEP)
    done = actions.revoke_device(by=by, device=device)
    return refusal(request, done) if isinstance(done, Refused) else HttpResponseRedirect("/roster")


urlpatterns = [
    path("roster", roster),
    path("roster/enter", enter),
    path("roster/code", code),
    path("roster/<int:turn>", ending),
    path("roster/<int:turn>/end", end),
    path("roster/devices/<uuid:device>/revoke", stop_device),
]
