"""Records that came to a shut door: what they say, who sent them and why they wait; recorded with one press, or left with a reason."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bihuan.access import late
from bihuan.access.middleware import allow
from bihuan.access.pages import number as read
from bihuan.access.permissions import Permission
from bihuan.kernel.refused import Refused

PAGE = 20
WHY = {
    "locked": gettext_lazy("页面锁着时交来的"),
    "device_revoked": gettext_lazy("手机已停用，之后交来的：先打电话问本人"),
    "account_ended": gettext_lazy("账号已停用，之后交来的"),
    "post_ended": gettext_lazy("岗位已结束，之后交来的"),
    "moved": gettext_lazy("交来的时候，这件事已经改由别的单位管"),
    "elsewhere": gettext_lazy("从另一台设备交来的，可能不是本人：先打电话问本人"),
}
_OTHER = gettext_lazy("登录结束以后交来的")


@never_cache
@require_safe
def entries(request: HttpRequest) -> HttpResponse:
    """What waits in the reader's range, the oldest first."""
    allow(request, Permission.LEAD_VERIFY)
    found = late.waiting(request, after=read(request.GET.get("after", "")), limit=PAGE + 1)
    return _page(request, found[:PAGE], found[PAGE - 1].id if len(found) > PAGE else None)


@never_cache
@require_safe
def one(request: HttpRequest, entry: int) -> HttpResponse:
    allow(request, Permission.LEAD_VERIFY)
    found = late.waiting(request, one=entry, limit=1)
    if not found:
        raise Refused("entry_not_found", "没有这条记录，或不归您管。", "There is no such entry, or it is not yours.")
    return _page(request, found, None)


def _page(request: HttpRequest, found: list[late.Entry], after: int | None) -> HttpResponse:
    rows = [{"entry": entry, "why": WHY.get(entry.why, _OTHER), "fields": list(late.hidden(entry))} for entry in found]
    return render(request, "access/late.html", {"section": "work", "rows": rows, "after": after})


@require_POST
def leave(request: HttpRequest, entry: int) -> HttpResponse:
    post = allow(request, Permission.LEAD_VERIFY)
    done = late.leave(by=post, entry=entry, why=request.POST.get("why", ""))
    if isinstance(done, Refused):
        raise done
    messages.success(request, _("已写明不记。"))
    return HttpResponseRedirect("/late")


urlpatterns = [path("late", entries), path("late/<int:entry>", one), path("late/<int:entry>/leave", leave)]
