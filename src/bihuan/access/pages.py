"""Sign-in and the post of the day; what every page that changes something needs: one act, once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.hashers import check_password
from django.core.signing import BadSignature
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import include, path
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from bihuan.access import attempts, devices, limits, log, scope, secrets, sessions
from bihuan.access.middleware import POST_KEY, WAS, reading_scope
from bihuan.access.models import Officer
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


def number(text: str) -> int:
    """A number of a row out of a form or an address; 0, which no row has, for whatever is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def new_act() -> str:
    return str(ids.new_id())


def next_url(request: HttpRequest, default: str = "/") -> str:
    """Where to go afterwards: an address of this house, else `default`."""
    url = request.POST.get("next") or request.GET.get("next") or ""
    return url if url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()}, require_https=settings.HTTPS) else default


PHONE = re.compile(r"1[0-9]{10}")
KNOWN = "known"  # cookie: the accounts that have signed in with this browser
_KNOWN_DAYS, _KNOWN_MAX = 90, 8


@never_cache
@sensitive_post_parameters("password", "pin")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """One page, the field decides: a login and its password, a rostered phone and the desk's code, or this device's PIN.

    Wrong name, wrong secret and closed account get one answer after the same work; so does an unknown name that was
    tried too often and a known one.
    """
    device = devices.of_request(request)
    sentence, status, entered = "", 200, None
    if request.method == "POST":
        pin = request.POST.get("pin", "")
        if device is not None and pin:
            entered, locked = _by_pin(request, device, pin), False
        else:
            entered, locked = _by_name(request)
        if entered is not None:
            return entered
        status = 429 if locked else 401
        sentence = (
            _("试的次数太多，暂停 %(n)s 分钟。着急请打电话给上一级值班室。") % {"n": limits.of("BIHUAN_LOCK_MINUTES")}
            if locked
            else _("账号、密码或验证码不对，请再试一次。")
        )
        device = devices.of_request(request)  # the last wrong PIN ends it
    context = {
        "errors": [{"field": "id_pin" if device and not request.POST.get("login") else "id_login", "sentence": sentence, "code": ""}]
        if sentence
        else [],
        "form": {"login": {"value": request.POST.get("login", "")[:150]}},
        "device": device if not request.GET.get("other") and not request.POST.get("login") else None,
        "pin_digits": limits.of("BIHUAN_PIN_DIGITS"),
        "next": next_url(request, ""),
        "demo_hint": is_demo(),
    }
    return render(request, "access/sign_in.html", context, status=status)


def _by_pin(request: HttpRequest, device: Any, pin: str) -> HttpResponse | None:
    if not devices.check_pin(device, pin[:20], request):
        return None
    return _enter(request, device.officer, "pin", device)


def _by_name(request: HttpRequest) -> tuple[HttpResponse | None, bool]:
    """(the way in or None, whether tries are locked). The secret's form decides what it is, never who exists."""
    name = request.POST.get("login", "").strip()[:150]
    secret = request.POST.get("password", "")[:500]
    phone = PHONE.fullmatch(name.replace(" ", "").replace("-", ""))
    officer = Officer.objects.filter(phone=phone[0]).first() if phone else Officer.objects.filter(login=name).first()
    account = attempts.account_key(name, _known(request).get(str(officer.pk) if officer else "", ""))
    attempt = attempts.begin(account, request, officer.pk if officer else None)
    if attempt.locked:
        return None, True
    digits = "".join(secret.split())
    if phone and digits.isdecimal() and len(digits) == limits.of("BIHUAN_CODE_DIGITS"):
        is_right = devices.use_code(officer.pk if officer is not None and officer.is_active else None, digits)
        found, how = (officer if is_right else None), "code"
    else:
        found, how = authenticate(request, username=officer.login if officer else name, password=secret), "password"
    if found is None:
        log.note("sign_in_failed", about=officer.pk if officer else None, request=request, detail=how)
        return None, False
    attempts.passed(attempt, found.pk)
    return _enter(request, found, how, None), False


def _enter(request: HttpRequest, officer: Any, how: str, device: Any) -> HttpResponse:
    request.signed_in_by, request.signed_in_on = how, device.id if device else None
    login(request, officer, backend="django.contrib.auth.backends.ModelBackend")
    request.session.pop(POST_KEY, None)
    posts = posts_of(officer.pk, by_phone=how in sessions.BY_PHONE)
    if len(posts) == 1:
        request.session[POST_KEY] = posts[0].id
    after = next_url(request)
    if how == "code":
        response = HttpResponseRedirect(f"/account/device?{urlencode({'next': after})}")
    else:
        response = HttpResponseRedirect(after if len(posts) == 1 else "/post")
    known = _known(request)
    known.setdefault(str(officer.pk), secrets.new_key()[:16])
    kept = dict(list(known.items())[-_KNOWN_MAX:])
    response.set_signed_cookie(
        KNOWN, json.dumps(kept), max_age=_KNOWN_DAYS * 86400, httponly=True, samesite="Strict", secure=settings.HTTPS, path="/sign-in"
    )
    return response


def _known(request: HttpRequest) -> dict[str, str]:
    """Officer -> mark of this browser, for those who have signed in with it."""
    try:
        return json.loads(request.get_signed_cookie(KNOWN, "{}", max_age=_KNOWN_DAYS * 86400))
    except (BadSignature, ValueError):
        return {}


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Ends the sign-in; what the browser kept of its pages goes too, so that the next one at this computer finds nothing."""
    logout(request)
    response = HttpResponseRedirect("/sign-in", headers={"Clear-Site-Data": '"cache"'})
    response.delete_cookie(WAS)
    return response


@require_POST
def lock(request: HttpRequest) -> HttpResponse:
    """Locks at once; the same officer goes on later, or another one signs in."""
    sessions.lock(request.standing.id, request, request.standing.officer)
    return HttpResponseRedirect(f"/unlock?{urlencode({'next': next_url(request)})}")


@never_cache
@sensitive_post_parameters("secret")
@require_http_methods(["GET", "HEAD", "POST"])
def unlock(request: HttpRequest) -> HttpResponse:
    """The PIN of this device, the password, or a new code of the desk. Shows no page of before, only who it was."""
    standing = request.standing
    if standing.locked_at is None:
        return HttpResponseRedirect(next_url(request))
    device = devices.of_request(request)
    device = device if device is not None and device.officer_id == standing.officer else None
    by = "pin" if device else "password" if request.user.has_usable_password() else "code"
    errors, status = [], 200
    if request.method == "POST":
        secret = request.POST.get("secret", "")[:500]
        attempt = attempts.begin(attempts.account_key(f"unlock/{standing.officer}"), request, standing.officer)
        if attempt.locked:
            logout(request)  # whoever sits here now starts from the beginning
            return HttpResponseRedirect("/sign-in")
        if by == "pin":
            is_right = devices.check_pin(device, secret, request)
        else:
            is_right = check_password(secret, request.user.password) if by == "password" else devices.use_code(standing.officer, secret)
        if is_right:
            attempts.passed(attempt, standing.officer)
            sessions.unlock(standing.id, request, standing.officer)
            return HttpResponseRedirect(next_url(request))
        log.note("sign_in_failed", about=standing.officer, request=request, detail="unlock")
        errors, status = [{"field": "id_secret", "sentence": _("不对，请再试一次。"), "code": ""}], 401
    context = {
        "errors": errors,
        "by": by,
        "officer": request.user.name,
        "next": next_url(request, ""),
        "pin_digits": limits.of("BIHUAN_PIN_DIGITS"),
    }
    return render(request, "access/unlock.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def choose_post(request: HttpRequest) -> HttpResponse:
    """One post at a time; only one's own, and only one that is held today."""
    posts = posts_of(request.user.pk, by_phone=request.standing.how in sessions.BY_PHONE)
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


def is_demo() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT mode = 'demo' FROM installation")
        row = cursor.fetchone()
    return bool(row and row[0])


urlpatterns = [
    path("sign-in", sign_in, name="sign_in"),
    path("lock", lock, name="lock"),
    path("unlock", unlock, name="unlock"),
    path("", include("bihuan.access.account_pages")),
    path("", include("bihuan.access.roster_pages")),
    path("", include("bihuan.access.officer_pages")),
    path("", include("bihuan.access.why_pages")),
    path("", include("bihuan.access.late_pages")),
    path("sign-out", sign_out, name="sign_out"),
    path("post", choose_post, name="post"),
]
