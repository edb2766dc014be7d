"""Sign-in and the post of the day; what every page that changes something needs: one act, once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import authenticate, login, logout
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from bihuan.access import scope
from bihuan.access.middleware import POST_KEY, reading_scope
from bihuan.access.permissions import Role
from bihuan.access.queries import posts_of
from bihuan.kernel import ids
from bihuan.kernel.refused import Refused


def error_of(refused: Refused) -> dict[str, str]:
    """A refusal as a line of components/errors.html."""
    return {"field": refused.where or "", "sentence": refused.sentence(get_language() or "zh"), "code": refused.code}


def act_of(request: HttpRequest, field: str = "act") -> UUID:
    """The id that the page was made with: the same form sent twice is one act. Refuses a missing or impossible one."""
    try:
        act = UUID(request.POST.get(field, ""))
    except ValueError:
        act = None
    if act is None or act.version != 7:
        raise Refused("act_missing", "这一页不完整，请刷新后再办一次。", "This page is incomplete; please reload it and try again.")
    return act


@contextmanager
def once(request: HttpRequest, act: UUID) -> Iterator[bool]:
    """Holds the act for this request; True when it was done before, by this unit. A double click waits here for the first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [str(act)])
    try:
        with scope.acting(reading_scope(request.post)), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM fact WHERE act = %s LIMIT 1", [act])
            known = cursor.fetchone() is not None
        yield known
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [str(act)])


def new_act() -> str:
    return str(ids.new_id())


def next_url(request: HttpRequest, default: str = "/") -> str:
    """Where to go afterwards: an address of this house, else `default`."""
    url = request.POST.get("next") or request.GET.get("next") or ""
    return url if url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()}, require_https=settings.HTTPS) else default


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Login and password. A wrong login, a wrong password and a closed account get one answer, after the same work."""
    errors: list[dict[str, str]] = []
    if request.method == "POST":
        name = request.POST.get("login", "").strip()[:150]
        officer = authenticate(request, username=name, password=request.POST.get("password", "")[:500])
        posts = posts_of(officer.pk) if officer is not None else []
        if officer is not None:
            login(request, officer)
            request.session.pop(POST_KEY, None)
            if len(posts) == 1:
                request.session[POST_KEY] = posts[0].id
                return HttpResponseRedirect(next_url(request))
            return HttpResponseRedirect("/post")
        errors = [{"field": "id_login", "sentence": _("账号或密码不对，请再试一次。"), "code": "sign_in_wrong"}]
    context = {
        "errors": errors,
        "form": {"login": {"value": request.POST.get("login", "")[:150]}},
        "next": next_url(request, ""),
        "demo_hint": _is_demo(),
    }
    return render(request, "access/sign_in.html", context, status=401 if errors else 200)


def _is_demo() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT mode = 'demo' FROM installation")
        row = cursor.fetchone()
    return bool(row and row[0])


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponseRedirect("/sign-in")


@require_http_methods(["GET", "HEAD", "POST"])
def choose_post(request: HttpRequest) -> HttpResponse:
    """One post at a time; only one's own, and only one that is held today."""
    posts = posts_of(request.user.pk)
    if request.method == "POST":
        chosen = next((post for post in posts if str(post.id) == request.POST.get("post")), None)
        if chosen is None:
            raise Refused("not_permitted", "这不是您今天的岗位。", "This is not a post of yours today.")
        request.session[POST_KEY] = chosen.id
        request.session.cycle_key()
        return HttpResponseRedirect(next_url(request))
    return render(request, "access/choose_post.html", {"posts": [_shown(request, post) for post in posts], "next": next_url(request, "")})


def _shown(request: HttpRequest, post: Any) -> dict[str, Any]:
    role = Role(post.role)
    return {
        "id": post.id,
        "role": _(str(role.label)),
        "unit": post.unit.name,
        "level": _(role.sentence),
        "until": post.valid.upper,
        "current": request.post is not None and request.post.id == post.id,
    }


urlpatterns = [
    path("sign-in", sign_in, name="sign_in"),
    path("sign-out", sign_out, name="sign_out"),
    path("post", choose_post, name="post"),
]
