"""Devices that officers said are their own, and the codes that bring a first one in.

Village and grid have no authenticator: a code that the township's desk reads out proves the person once, then the
device (which it has) and a PIN (which the officer knows) do. Too many wrong PINs, or "lost", and the device is a stranger again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse

from bihuan.access import limits, log, secrets
from bihuan.access.models import Device, Officer, SignIn, SignInCode
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused

COOKIE = "device"


def of_request(request: HttpRequest) -> Device | None:
    """The trusted device that asks, by its cookie; None when it is none, ended or revoked."""
    made, _, key = request.COOKIES.get(COOKIE, "").partition(".")
    try:
        found = Device.objects.select_related("officer").filter(id=UUID(made), revoked_at=None, until__gt=clock.real_now()).first()
    except ValueError:
        return None
    if found is None or not found.officer.is_active or not secrets.same(found.key_hash, secrets.plain_hash(key)):
        return None
    return found


def check_pin(device: Device, pin: str, request: HttpRequest) -> bool:
    """Whether it is the device's PIN. The wrong tries are counted on the device; after the last the device is revoked."""
    with transaction.atomic():
        # Counted before it is judged and under the row's lock: many tries at once are still as many tries.
        row = Device.objects.select_for_update().get(id=device.id)
        if row.revoked_at is not None:
            return False
        right = check_password(pin, row.pin)
        row.pin_failures = 0 if right else row.pin_failures + 1
        row.seen_at = clock.real_now() if right else row.seen_at
        row.save(update_fields=["pin_failures", "seen_at"])
    if not right:
        log.note("sign_in_failed", about=device.officer_id, request=request, detail="pin")
        if row.pin_failures >= limits.of("BIHUAN_PIN_FAILURES"):
            revoke(device.id, why="wrong_pins", by=None, request=request)
    return right


def trust(request: HttpRequest, officer: Officer, pin: str, name: str, response: HttpResponse) -> Device:
    """Trust the device that asks for BIHUAN_DEVICE_DAYS; its key goes into a cookie of `response`.

    Refuses a PIN that is too short (`pin_digits`) or that everybody tries first (`pin_simple`).
    """
    digits = limits.of("BIHUAN_PIN_DIGITS")
    if not (pin.isascii() and pin.isdigit() and len(pin) == digits):
        raise Refused("pin_digits", f"解锁数字要正好 {digits} 位数字。", f"The PIN has exactly {digits} digits.", "id_pin")
    if _is_simple(pin) or (officer.phone and pin in officer.phone):
        raise Refused(
            "pin_simple",
            "这串数字别人一猜就中（连着的、重复的、或是您号码里的），请换一串。",
            "Others would guess this at once (a row, a repetition, or part of your number); take another.",
            "id_pin",
        )
    now, key = clock.real_now(), secrets.new_key()
    made = Device.objects.create(
        id=uuid4(), officer=officer, key_hash=secrets.plain_hash(key), pin=make_password(pin), name=name.strip()[:60] or "—",
        made_at=now, seen_at=now, until=now + timedelta(days=limits.of("BIHUAN_DEVICE_DAYS")),
    )  # fmt: skip
    log.note("device_trusted", officer=officer.pk, request=request, detail=made.name)
    days = limits.of("BIHUAN_DEVICE_DAYS")
    response.set_cookie(COOKIE, f"{made.id}.{key}", max_age=days * 86400, httponly=True, samesite="Strict", secure=settings.HTTPS, path="/")
    return made


def _is_simple(pin: str) -> bool:
    steps = {(int(b) - int(a)) % 10 for a, b in zip(pin, pin[1:], strict=False)}
    half = len(pin) // 2
    return len(steps) == 1 or len(set(pin)) < 3 or pin[:half] == pin[half:] or pin == pin[:2] * (len(pin) // 2)


def revoke(device: UUID, *, why: str, by: int | None, request: HttpRequest | None) -> bool:
    """From the next request on the device is a stranger: its sign-ins end with it. False when it was one already."""
    now = clock.real_now()
    row = Device.objects.filter(id=device, revoked_at=None).first()
    if row is None or not Device.objects.filter(id=device, revoked_at=None).update(revoked_at=now, revoked_why=why):
        return False
    SignIn.objects.filter(device=device, ended_at=None).update(ended_at=now, ended_why="device_revoked")
    log.note("device_revoked", officer=by, about=row.officer_id, request=request, detail=f"{row.name} {why}")
    return True


# --- codes of the township's desk -------------------------------------------------------------------------------------


def make_code(officer: int, post: int) -> tuple[str, datetime]:
    """A new code for an officer, and until when it is good; an older one is dead from now on. Inside a transaction."""
    now = clock.real_now()
    code = secrets.new_digits(limits.of("BIHUAN_CODE_DIGITS"))
    SignInCode.objects.filter(officer=officer, used_at=None).update(used_at=now)
    until = now + limits.minutes("BIHUAN_CODE_MINUTES")
    SignInCode.objects.create(
        officer_id=officer, code_hash=secrets.keyed("code", f"{officer}/{code}"), made_by=post, made_at=now, until=until
    )
    return code, until


_USE = """
UPDATE sign_in_code SET failures = failures + 1 WHERE officer = %s AND used_at IS NULL AND until > %s AND failures < %s
RETURNING id, code_hash
"""


def use_code(officer: int | None, code: str) -> bool:
    """Whether it is the officer's code; it is used up then. Counted before it is judged. As long a way for nobody's phone."""
    wanted = secrets.keyed("code", f"{officer}/{''.join(code.split())}")
    now = clock.real_now()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_USE, [officer, now, limits.of("BIHUAN_CODE_FAILURES")])
        found = cursor.fetchone()
        right = secrets.same(found[1] if found else secrets.plain_hash(""), wanted)
        cursor.execute("UPDATE sign_in_code SET used_at = %s WHERE id = %s", [now, found[0] if right and found else None])
    return right and found is not None
