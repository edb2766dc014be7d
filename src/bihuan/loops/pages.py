"""The end of an event, for the two who sign: what would be destroyed, what is still open, the certificate."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bihuan.access import second_factor
from bihuan.access.middleware import allow, reading
from bihuan.access.models import Post
from bihuan.access.pages import error_of, number
from bihuan.access.permissions import Permission
from bihuan.kernel.refused import Refused
from bihuan.loops import ending

# What a table holds, in words; the others are shown by their names only.
_WORDS = {
    "fact": _("办理记录"),
    "identity": _("证件、电话、住址（加密的）"), "person": _("姓名"), "holding": _("谁用过哪个号码"), "lead": _("线索"),
    "intake_file": _("名单原件"), "intake_row": _("名单各行的结果"), "loop": _("待办"), "movement": _("移交记录"), "event_key": _("密钥"),
    "visible": _("谁看得到谁"), "cluster": _("哪些线索是同一个人"), "subject": _("人员编号"), "duty_list": _("打印、带走的名单"),
}  # fmt: skip


def _counted(counts: dict[str, int]) -> list[tuple[str, Any, int]]:
    return [(table, _WORDS.get(table, ""), n) for table, n in counts.items() if n]


@never_cache
@require_safe
def events(request: HttpRequest) -> HttpResponse:
    return _page(request, allow(request, Permission.EVENT_END), number(request.GET.get("event", "")))


def _page(request: HttpRequest, post: Post, event: int, errors: list | None = None, reason: str = "") -> HttpResponse:
    rows = ending.listed(by=post)
    chosen = next((row for row in rows if row.event == event), None)
    context: dict[str, Any] = {"section": "accounts", "rows": rows, "chosen": chosen, "errors": errors or [], "reason": reason}
    if chosen is not None:
        context["outlook"] = found = ending.outlook_for(by=post, event=event)
        context["counts"] = _counted(found.counts)
        context["mine"] = found.ending is not None and found.ending.asked_officer == post.officer_id
    return render(request, "loops/events.html", context, status=409 if errors else 200)


@require_POST
def ask(request: HttpRequest) -> HttpResponse:
    post, event = allow(request, Permission.EVENT_END), number(request.POST.get("event", ""))
    second_factor.require_fresh(request)
    return _answered(request, post, event, ending.ask(by=post, event=event, reason=request.POST.get("reason", "")))


@require_POST
def sign(request: HttpRequest) -> HttpResponse:
    post, event = allow(request, Permission.EVENT_END), number(request.POST.get("event", ""))
    second_factor.require_fresh(request)
    return _answered(request, post, event, ending.sign(by=post, event=event))


def _answered(request: HttpRequest, post: Post, event: int, answer: object) -> HttpResponse:
    if isinstance(answer, Refused):
        with reading(request):
            return _page(request, post, event, [error_of(answer) | {"field": ""}], request.POST.get("reason", ""))
    return HttpResponseRedirect(f"/events?event={event}")


@never_cache
@require_safe
def certificate(request: HttpRequest) -> HttpResponse:
    """To be printed; shown only when it is word for word the one whose hash stands in the ledger."""
    post = allow(request, Permission.EVENT_END)
    said, final = ending.certificate_for(by=post, event=number(request.GET.get("event", "")))
    context = {"section": "accounts", "said": said, "final": final, "counts": _counted(said["destroyed"])}
    return render(request, "loops/certificate.html", context)


urlpatterns = [
    path("events", events),
    path("events/ask", ask),
    path("events/sign", sign),
    path("events/certificate", certificate),
]
