"""意见建议: a few words about a page, and the answer of the desk above."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import Resolver404, path, resolve
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from bihuan.access.middleware import reading, status_of
from bihuan.access.pages import act_of, error_of, new_act
from bihuan.access.permissions import Role
from bihuan.kernel.refused import Refused
from bihuan.site import actions

SHOWN_MAX = 30


def _address(url: str) -> str:
    """The address of a page without its ids; empty for what is no page of ours."""
    try:
        return "/" + resolve(url.partition("?")[0]).route
    except Resolver404:
        return ""


def _rows(where: str, unit: int) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT f.id, f.at, u.name AS unit, f.page, f.text, f.answer, f.answered_at, d.name AS desk FROM feedback f"
            f" JOIN unit u ON u.id = f.unit JOIN unit d ON d.id = f.desk WHERE {where} ORDER BY f.id DESC LIMIT {SHOWN_MAX}",
            [unit],
        )
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@require_http_methods(["GET", "HEAD", "POST"])
def feedback(request: HttpRequest) -> HttpResponse:
    """Say it, and read what was answered."""
    if request.method != "POST":
        return _page(request, {"act": new_act(), "from": _address(request.GET.get("from", "")), "text": ""}, [])
    act, text, page = act_of(request), request.POST.get("text", ""), _address(request.POST.get("from", ""))
    done = actions.send_feedback(by=request.post, text=text, page=page, act=act)
    if isinstance(done, Refused):
        with reading(request):
            return _page(request, {"act": str(act), "from": page, "text": text[:2000]}, [error_of(done)])
    messages.success(request, _("收到了，上一级值班室会在这里答复。"))
    return HttpResponseRedirect("/feedback")


def _page(request: HttpRequest, form: dict[str, str], errors: list[dict[str, str]]) -> HttpResponse:
    unit = request.post.unit_id
    context = {
        "section": "",
        "form": form,
        "errors": errors,
        "max": actions.TEXT_CHARACTERS_MAX,
        "shows_pages": request.post.role in (Role.CITY_DESK, Role.COUNTY_DESK),
        "mine": _rows("f.unit = %s", unit),
        "asked": _rows("f.desk = %s AND f.answered_at IS NULL", unit),
    }
    return render(request, "site/feedback.html", context, status=422 if errors else 200)


@require_POST
def answer(request: HttpRequest, feedback: int) -> HttpResponse:
    """The desk's answer, read by whoever asked."""
    done = actions.answer_feedback(by=request.post, feedback=feedback, text=request.POST.get("text", ""))
    if isinstance(done, Refused):
        if status_of(done) != 409:
            raise done
        with reading(request):
            return _page(request, {"act": new_act(), "from": "", "text": ""}, [{**error_of(done), "field": f"answer-{feedback}"}])
    messages.success(request, _("已答复。"))
    return HttpResponseRedirect("/feedback")


urlpatterns = [path("feedback", feedback), path("feedback/<int:feedback>/answer", answer)]
