"""Pages of the three administrators: accounts and posts; the log; health and settings. None of them shows a person."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bihuan import __version__
from bihuan.access import actions, attempts, holdings, limits, log, queries, second_factor
from bihuan.access.middleware import allow, refusal
from bihuan.access.models import Device, Officer, Passkey, Post, SecurityLog, SignIn
from bihuan.access.pages import act_of, error_of, new_act, number
from bihuan.access.permissions import Permission, Role
from bihuan.access.roster_pages import successor_of, unit_of, until_of
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused

PAGE = 50
# What the worker does, in words; the name stands beside it, for the log has only that.
JOBS = {
    "access.hand_over": _lazy("到期的岗位，事情交回本单位值班室"),
    "access.forget": _lazy("销毁过期的登录记录和会话"),
    "access.empty": _lazy("已经记上的待确认记录，清掉留底"),
    "ledger.partitions": _lazy("预先建好下几个月的台账分区"),
    "ledger.seal": _lazy("每分钟封存"),
    "ledger.keep": _lazy("把封存链尾送到别处保存"),
    "loops.tick": _lazy("到时间的，请上级协助"),
    "loops.expire_offers": _lazy("没人接收的移交，退回原单位"),
    "loops.fold_tallies": _lazy("合并统计数"),
    "loops.reckon": _lazy("核对账目"),
    "intake.files": _lazy("读交来的名单"),
    "leads.count_standing": _lazy("数概览上的数"),
    "leads.find_strays": _lazy("找没人管的人"),
    "leads.end_lists": _lazy("销毁过期的清单"),
}
VIEWS = ("all", "locked", "ended")
ACTS = ("password", "factors", "lock", "sign-ins", "end", "restore", "post", "post-end", "device")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Refused("officer_not_found", "没有这台设备。", "There is no such device.") from None


@never_cache
@require_safe
def officers(request: HttpRequest) -> HttpResponse:
    by = allow(request, Permission.ACCOUNT_MANAGE)
    view = request.GET.get("view") if request.GET.get("view") in VIEWS else "all"
    q, after = request.GET.get("q", "").strip()[:40], number(request.GET.get("after", ""))
    locked = attempts.locked_officers()
    rows = queries.officers(by, q=q, after=after, limit=PAGE + 1, ended=view == "ended", only=locked if view == "locked" else None)
    context = {
        "section": "officers", "rows": rows[:PAGE],
        "labels": {r.value: r.label for r in Role}, "q": q, "view": view, "n_locked": len(locked),
        "locked": set(locked), "after": rows[PAGE - 1].post if len(rows) > PAGE else None,
    }  # fmt: skip
    return render(request, "access/officers.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def make(request: HttpRequest) -> HttpResponse:
    """A new account; its first password stands on the answer, once."""
    by, errors, choices = allow(request, Permission.ACCOUNT_MANAGE), [], []
    if request.method == "POST":
        unit, choices, errors = unit_of(request, by)
        if unit is not None:
            given = {name: request.POST.get(name, "")[:60] for name in ("login", "name", "phone", "role")}
            try:
                made = actions.make_officer(by=by, unit=unit, until=until_of(request), **given)
            except Refused as refused:
                made = refused
            if not isinstance(made, Refused):
                return _handed_over(request, made)
            if made.code.endswith("_not_found"):
                return refusal(request, made)
            errors = [error_of(made)]
    context = {"section": "officers", "errors": errors, "choices": choices, "form": request.POST, "roles": list(Role)}
    return render(request, "access/officer_new.html", context, status=409 if errors else 200)


def _handed_over(request: HttpRequest, made: actions.Made) -> HttpResponse:
    officer = Officer.objects.get(id=made.officer)
    return render(request, "access/password_made.html", {"section": "officers", "officer": officer, "password": made.password})


def _found(by: Post, officer: int) -> Officer:
    rows = queries.officers(by, only=[officer]) or queries.officers(by, only=[officer], ended=True)
    if not rows:
        raise Refused("officer_not_found", "没有这个人，或不归您管。", "There is no such officer, or not in your range.")
    return Officer.objects.get(id=officer)


@never_cache
@require_safe
def one(request: HttpRequest, officer: int) -> HttpResponse:
    return _one(request, allow(request, Permission.ACCOUNT_MANAGE), officer)


def _one(request: HttpRequest, by: Post, officer: int, errors: list | None = None, choices: list | None = None) -> HttpResponse:
    found, today = _found(by, officer), clock.today()
    posts = list(Post.objects.select_related("unit").filter(officer=officer).order_by("-id"))
    shown: list[dict[str, Any]] = []
    for post in posts:
        current = post.is_valid()
        held = holdings.count(officer, post.unit_id) if current else 0
        last = post.valid.upper.toordinal() - 1 if post.valid.upper else None
        shown.append(
            {
                "id": post.id, "role": Role(post.role).label, "unit": post.unit.name, "current": current, "held": held,
                "until": type(today).fromordinal(last) if last else None,
                "colleagues": queries.colleagues(post.unit_id, officer) if held else [],
            }
        )  # fmt: skip
    context = {
        "section": "officers", "officer": found, "posts": shown, "held": sum(p["held"] for p in shown), "errors": errors or [],
        "choices": choices or [], "form": request.POST, "roles": list(Role), "locked": officer in attempts.locked_officers(),
        "has_totp": second_factor.has_totp(officer), "n_passkeys": Passkey.objects.filter(officer=officer).count(),
        "devices": list(Device.objects.filter(officer=officer, revoked_at=None, until__gt=clock.real_now())),
        "sign_ins": list(SignIn.objects.filter(officer=officer, ended_at=None).order_by("-seen_at")[:20]),
        "oneself": by.officer_id == officer, "act": new_act(),
    }  # fmt: skip
    return render(request, "access/officer.html", context, status=409 if errors else 200)


@never_cache
@require_POST
def do(request: HttpRequest, officer: int, what: str) -> HttpResponse:
    """One of ACTS upon an account."""
    done: Any
    by = allow(request, Permission.ACCOUNT_MANAGE)
    _found(by, officer)
    choices: list = []
    match what:
        case "password":
            done = actions.reset_password(by=by, officer=officer)
        case "factors":
            done = actions.remove_factors(by=by, officer=officer)
        case "lock":
            done = actions.clear_lock(by=by, officer=officer)
        case "sign-ins":
            done = actions.end_sign_ins(by=by, officer=officer)
        case "end":
            done = actions.end_officer(by=by, officer=officer, act=act_of(request), **successor_of(request))
        case "restore":
            done = actions.restore_officer(by=by, officer=officer)
        case "post-end":
            post = number(request.POST.get("post", ""))
            done = actions.end_post(by=by, post=post, act=act_of(request), **successor_of(request))
        case "device":
            done = actions.revoke_device(by=by, device=_uuid(request.POST.get("device", "")))
        case "post":
            unit, choices, errors = unit_of(request, by)
            if unit is None:
                return _one(request, by, officer, errors, choices)
            try:
                done = actions.give_post(by=by, officer=officer, unit=unit, role=request.POST.get("role", ""), until=until_of(request))
            except Refused as refused:
                done = refused
    if isinstance(done, Refused):
        if done.code == "not_permitted" or done.code.endswith("_not_found"):
            return refusal(request, done)
        return _one(request, by, officer, [error_of(done)], choices)
    if isinstance(done, actions.Made) and done.password:
        return _handed_over(request, done)
    return HttpResponseRedirect(f"/officers/{officer}")


@never_cache
@require_safe
def security_log(request: HttpRequest) -> HttpResponse:
    """What happened to accounts and sign-ins, newest first; for the auditor."""
    allow(request, Permission.LOG_READ)
    rows = SecurityLog.objects.order_by("-id")
    what, login, before = request.GET.get("what", ""), request.GET.get("login", "").strip(), number(request.GET.get("before", ""))
    if what in log.WORDS:
        rows = rows.filter(what=what)
    if login:
        about = list(Officer.objects.filter(login=login).values_list("id", flat=True))
        rows = rows.filter(about__in=about)
    if before:
        rows = rows.filter(id__lt=before)
    found = list(rows[: PAGE + 1])
    named = {row.officer for row in found} | {row.about for row in found}
    names = {o.pk: f"{o.name} ({o.login})" for o in Officer.objects.filter(id__in=[n for n in named if n])}
    shown = [
        {
            "at": row.at, "what": log.WORDS[row.what], "by": names.get(row.officer, ""), "about": names.get(row.about, ""),
            "address": row.address, "detail": row.detail,
        }
        for row in found[:PAGE]
    ]  # fmt: skip
    context = {
        "section": "log", "rows": shown, "what": what, "login": login, "words": log.WORDS.items(),
        "before": found[PAGE - 1].id if len(found) > PAGE else None,
    }  # fmt: skip
    return render(request, "access/security_log.html", context)


@never_cache
@require_safe
def system(request: HttpRequest) -> HttpResponse:
    """Health and settings, for whoever keeps the machines; counts, and nobody's name."""
    allow(request, Permission.SYSTEM_WATCH)
    now = clock.real_now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, finished_at, error FROM job_run ORDER BY name")
        jobs = [
            {
                "name": n,
                "words": JOBS.get(n, n),
                "at": at,
                "seconds": max(0, round((now - at).total_seconds())),
                "error": e.partition(":")[0],
            }
            for n, at, e in cursor.fetchall()
        ]
        cursor.execute("SELECT pg_database_size(current_database()), current_setting('server_version'), (SELECT mode FROM installation)")
        size, server, mode = cursor.fetchone()
        cursor.execute(
            "SELECT count(*) FROM sign_in WHERE ended_at IS NULL AND seen_at > %s", [now - limits.minutes("BIHUAN_IDLE_MINUTES")]
        )
        active = cursor.fetchone()[0]
    context = {
        "section": "system", "jobs": jobs, "size_mb": round(size / 1e6), "server": server, "mode": mode, "version": __version__,
        "n_active": active, "n_locked": len(attempts.locked_officers()),
        "settings": [{"name": n, "value": limits.of(n), "usual": limit.default} for n, limit in sorted(limits.LIMITS.items())],
    }  # fmt: skip
    return render(request, "access/system.html", context)


urlpatterns = [
    path("officers", officers),
    path("officers/new", make),
    path("officers/<int:officer>", one),
    *(path(f"officers/<int:officer>/{what}", do, {"what": what}) for what in ACTS),
    path("security-log", security_log),
    path("system", system),
]
