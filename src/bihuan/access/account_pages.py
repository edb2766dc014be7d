"""An officer's own account: password, second factors, trusted devices, open sign-ins; and the page that asks for a second factor."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import segno
from django.contrib import messages
from django.contrib.auth import password_validation, update_session_auth_hash
from django.contrib.auth.hashers import check_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bihuan.access import attempts, devices, limits, log, second_factor, sessions
from bihuan.access.models import Device, Passkey, SignIn, Totp
from bihuan.access.pages import error_of, is_demo, next_url
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused

_PAGE = require_http_methods(["GET", "HEAD", "POST"])


@never_cache
@require_safe
def account(request: HttpRequest) -> HttpResponse:
    """What one signs in with, where one is signed in, and what can be ended."""
    officer = request.user
    context = {
        "by_phone": request.standing.how in sessions.BY_PHONE,
        "has_password": officer.has_usable_password(),
        "totp": Totp.objects.filter(officer=officer, confirmed_at__isnull=False).first(),
        "passkeys": list(Passkey.objects.filter(officer=officer).order_by("id")),
        "recovery_left": second_factor.left_recovery_codes(officer.pk),
        "recovery_all": second_factor.RECOVERY_CODES,
        "devices": list(Device.objects.filter(officer=officer, revoked_at=None, until__gt=clock.real_now()).order_by("-seen_at")),
        "this_device": request.standing.device,
        "sign_ins": list(SignIn.objects.filter(officer=officer, ended_at=None).order_by("-seen_at")[:20]),
        "this_sign_in": request.standing.id,
    }
    return render(request, "access/account.html", context)


@never_cache
@sensitive_post_parameters("old", "new", "again")
@_PAGE
def password(request: HttpRequest) -> HttpResponse:
    """Change one's password; all other sign-ins of the account end."""
    officer, errors = request.user, []
    if request.method == "POST":
        old, new, again = (request.POST.get(name, "")[:500] for name in ("old", "new", "again"))
        attempt = attempts.begin(attempts.account_key(f"password/{officer.pk}"), request, officer.pk)
        if attempt.locked or not check_password(old, officer.password):
            errors.append({"field": "id_old", "sentence": _("现在的密码不对。"), "code": "password_wrong"})
        else:
            attempts.passed(attempt, officer.pk)
            if new != again:
                errors.append({"field": "id_again", "sentence": _("两次填的新密码不一样。"), "code": "password_differs"})
            elif new == old:
                errors.append({"field": "id_new", "sentence": _("新密码要和现在的不一样。"), "code": "password_same"})
            errors += [{"field": "id_new", "sentence": sentence, "code": "password_weak"} for sentence in _weaknesses(new, officer)]
        if not errors:
            officer.set_password(new)
            officer.must_change, officer.password_at = False, clock.real_now()
            officer.save(update_fields=["password", "must_change", "password_at"])
            update_session_auth_hash(request, officer)
            sessions.end_all(officer.pk, "password_changed", but=request.standing.id)
            log.note("password_changed", officer=officer.pk, request=request)
            return HttpResponseRedirect(next_url(request, "/account"))
    context = {
        "errors": errors, "must": request.standing.wants_password, "next": next_url(request, ""),
        "length": limits.of("BIHUAN_PASSWORD_LENGTH"),
    }  # fmt: skip
    return render(request, "access/password.html", context, status=409 if errors else 200)


def _weaknesses(new: str, officer: Any) -> list[str]:
    words = {
        "password_too_short": _("新密码至少 %(n)s 位。") % {"n": limits.of("BIHUAN_PASSWORD_LENGTH")},
        "password_too_common": _("这个密码太常见，别人一猜就中。"),
        "password_too_similar": _("密码里不要用自己的账号或姓名。"),
    }
    try:
        password_validation.validate_password(new, officer)
    except ValidationError as failed:
        return [words.get(error.code, " ".join(error.messages)) for error in failed.error_list]
    return []


# --- second factors -----------------------------------------------------------------------------------------------------


@never_cache
@_PAGE
def enrol(request: HttpRequest) -> HttpResponse:
    """Bind an authenticator, add a passkey, make codes for paper. Whoever has a factor already shows it first."""
    officer, errors, codes = request.user, [], []
    if request.standing.has_factor:
        second_factor.require_fresh(request)
    if request.method == "POST":
        what = request.POST.get("what")
        if what == "begin":
            second_factor.begin_totp(officer)
            return HttpResponseRedirect(request.get_full_path())
        if what == "confirm":
            attempt = attempts.begin(attempts.account_key(f"second/{officer.pk}"), request, officer.pk)
            if not attempt.locked and second_factor.check_totp(officer.pk, request.POST.get("code", "")[:20], confirm=True):
                attempts.passed(attempt, officer.pk)
                log.note("totp_enrolled", officer=officer.pk, request=request)
                second_factor.shown(request, "totp")
                codes = _new_codes(request)
            else:
                errors = [{"field": "id_code", "sentence": _("验证码不对：看一下手机的时间准不准，再填下一个。"), "code": "code_wrong"}]
        if what == "recovery" and request.standing.has_factor:
            codes = _new_codes(request)
    if codes:
        return render(request, "access/recovery.html", {"codes": codes, "next": next_url(request, "/account")})
    waiting = Totp.objects.filter(officer=officer, confirmed_at=None).first()
    context: dict[str, Any] = {
        "errors": errors, "next": next_url(request, ""), "must": request.standing.wants_second,
        "has_totp": second_factor.has_totp(officer.pk), "passkeys": Passkey.objects.filter(officer=officer).count(),
        "recovery_left": second_factor.left_recovery_codes(officer.pk),
    }  # fmt: skip
    if waiting is not None:
        secret, address = second_factor.begin_totp(officer)
        context |= {"secret": " ".join(secret[i : i + 4] for i in range(0, len(secret), 4)), "qr": _drawing(address)}
    return render(request, "access/enrol.html", context, status=401 if errors else 200)


def _new_codes(request: HttpRequest) -> list[str]:
    log.note("recovery_made", officer=request.user.pk, request=request)
    return second_factor.new_recovery_codes(request.user.pk)


def _drawing(text: str) -> str:
    """A QR code as a data address, so that the secret is in no file and no other request."""
    return segno.make(text, error="m").svg_data_uri(scale=5, border=3, dark="#000", light="#fff")


@never_cache
@require_POST
def passkey_to_make(request: HttpRequest) -> JsonResponse:
    if request.standing.has_factor:
        second_factor.require_fresh(request)
    return JsonResponse(second_factor.passkey_to_make(request, request.user))


@require_POST
def passkey_made(request: HttpRequest) -> JsonResponse:
    if request.standing.has_factor:
        second_factor.require_fresh(request)
    try:
        made = second_factor.keep_passkey(request, request.user, request.POST.get("answer", ""), request.POST.get("name", ""))
    except Refused as refused:
        return JsonResponse(error_of(refused), status=409)
    log.note("passkey_added", officer=request.user.pk, request=request, detail=made.name)
    second_factor.shown(request, "passkey")
    return JsonResponse({"next": next_url(request, "/account")})


@require_POST
def passkey_removed(request: HttpRequest, passkey: int) -> HttpResponse:
    second_factor.require_fresh(request)
    row = Passkey.objects.filter(officer=request.user, id=passkey).first()
    if row is not None:
        row.delete()
        log.note("passkey_removed", officer=request.user.pk, request=request, detail=row.name)
    return HttpResponseRedirect("/account")


@never_cache
@sensitive_post_parameters("code", "pin", "answer")
@_PAGE
def show(request: HttpRequest) -> HttpResponse:
    """Asks for a second factor and leads back. What is asked for is what the officer has."""
    standing, errors, status = request.standing, [], 200
    device = devices.of_request(request)
    device = device if device is not None and device.officer_id == standing.officer else None
    by_phone = standing.how in sessions.BY_PHONE
    if request.method == "POST":
        attempt = attempts.begin(attempts.account_key(f"second/{standing.officer}"), request, standing.officer)
        by = "" if attempt.locked else _shown_by(request, device, by_phone)
        if by:
            attempts.passed(attempt, standing.officer)
            second_factor.shown(request, by)
            if request.GET.get("again"):
                messages.success(request, _("已确认是您本人，请把刚才的事再按一次。"))
            return HttpResponseRedirect(next_url(request))
        log.note("second_failed", officer=standing.officer, request=request)
        sentence = _("试的次数太多，请过一会儿再来。") if attempt.locked else _("不对，请再试一次。")
        errors, status = [{"field": "id_code", "sentence": sentence, "code": ""}], 429 if attempt.locked else 401
    demo = is_demo()
    context = {
        "errors": errors, "next": next_url(request, ""), "at_sign_in": standing.wants_second, "by_phone": by_phone, "device": device,
        "has_totp": second_factor.has_totp(standing.officer), "has_passkey": Passkey.objects.filter(officer=standing.officer).exists(),
        "has_factor": standing.has_factor, "minutes": limits.of("BIHUAN_STEP_UP_MINUTES"), "pin_digits": limits.of("BIHUAN_PIN_DIGITS"),
        # Never outside the demonstration, whose mode cannot be set on a real city's data.
        "demo_code": second_factor.present_code(standing.officer) if demo else None, "demo": demo,
    }  # fmt: skip
    return render(request, "access/second_factor.html", context, status=status)


def _shown_by(request: HttpRequest, device: Device | None, by_phone: bool) -> str:
    """Which factor was shown rightly; "" when none was."""
    officer, code = request.standing.officer, request.POST.get("code", "")[:60].strip()
    if request.POST.get("answer"):
        return "passkey" if second_factor.check_passkey(request, officer, request.POST["answer"]) else ""
    if by_phone and device is not None:
        return "pin" if devices.check_pin(device, code, request) else ""
    if by_phone:
        return "code" if devices.use_code(officer, code) else ""
    if code.replace(" ", "").isdecimal():
        return "totp" if second_factor.check_totp(officer, code) else ""
    return "recovery" if second_factor.use_recovery_code(officer, code) else ""


@never_cache
@require_POST
def passkey_to_show(request: HttpRequest) -> JsonResponse:
    return JsonResponse(second_factor.passkey_to_show(request, request.standing.officer))


# --- devices and sign-ins -----------------------------------------------------------------------------------------------


@never_cache
@sensitive_post_parameters("pin", "again")
@_PAGE
def device(request: HttpRequest) -> HttpResponse:
    """After a code of the desk: is this telephone one's own? Then it is trusted, with a PIN. A shared computer is not."""
    errors = []
    if request.method == "POST":
        if request.standing.how != "code":
            raise Refused(
                "device_needs_code",
                "先请镇街值班室给一个验证码，用它登录，再设这台手机。",
                "Sign in with a code of the township's desk first.",
            )
        pin, after = request.POST.get("pin", "")[:20], HttpResponseRedirect(next_url(request))
        if pin != request.POST.get("again", ""):
            errors = [{"field": "id_again", "sentence": _("两次填的数字不一样。"), "code": "pin_differs"}]
        else:
            try:
                made = devices.trust(request, request.user, pin, request.POST.get("name", "") or request_agent(request), after)
            except Refused as refused:
                errors = [error_of(refused)]
            else:
                SignIn.objects.filter(id=request.standing.id).update(device=made.id)
                return after
    context = {
        "errors": errors, "next": next_url(request, ""), "pin_digits": limits.of("BIHUAN_PIN_DIGITS"),
        "days": limits.of("BIHUAN_DEVICE_DAYS"), "agent": request_agent(request),
    }  # fmt: skip
    return render(request, "access/device.html", context, status=409 if errors else 200)


def request_agent(request: HttpRequest) -> str:
    return sessions.agent_words(request.META.get("HTTP_USER_AGENT", ""))


@require_POST
def device_revoked(request: HttpRequest, device: UUID) -> HttpResponse:
    """A device of one's own is lost or given away: from the next request on it is a stranger."""
    if Device.objects.filter(id=device, officer=request.user).exists():
        devices.revoke(device, why="lost", by=request.user.pk, request=request)
    return HttpResponseRedirect("/account")


@require_POST
def sign_ins_ended(request: HttpRequest) -> HttpResponse:
    """End one's sign-ins everywhere else."""
    if sessions.end_all(request.user.pk, "ended_by_owner", but=request.standing.id):
        log.note("session_ended", officer=request.user.pk, request=request, detail="ended_by_owner")
    return HttpResponseRedirect("/account")


urlpatterns = [
    path("account", account, name="account"),
    path("account/password", password),
    path("account/second-factor", enrol),
    path("account/second-factor/passkey", passkey_made),
    path("account/second-factor/passkey/options", passkey_to_make),
    path("account/passkeys/<int:passkey>/remove", passkey_removed),
    path("account/device", device),
    path("account/devices/<uuid:device>/revoke", device_revoked),
    path("account/sign-ins/end", sign_ins_ended),
    path("second-factor", show),
    path("second-factor/options", passkey_to_show),
]
