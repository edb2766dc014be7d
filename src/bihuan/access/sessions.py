"""A sign-in from beginning to end. Its row is read with every request, so that whatever ends it counts from the next one.

Django's session holds the row's id and the chosen post, nothing else. The row is bound lightly to the browser: a cookie
that turns up in another kind of browser ends the sign-in. Time here is real time, never the demonstration's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import connection
from django.http import HttpRequest

from bihuan.access import limits, log, secrets
from bihuan.access.models import SignIn
from bihuan.kernel import clock

KEY = "sign_in"
BY_PHONE = ("code", "pin")  # ways of signing in that open posts of village and grid alone
# The last sign of life is written at most this often: a page that asks for figures every second writes nothing.
SEEN_EVERY = timedelta(seconds=30)
# A page that refreshes by itself says for how long nobody has touched it; above this its request is no sign of life.
IDLE_HEADER = "Bihuan-Idle"
_IDLE_SECONDS_MAX = 20

_READ = """
SELECT s.id, s.officer, s.how, s.device, s.began_at, s.seen_at, s.locked_at, s.second_at, s.ended_at, s.agent_hash,
       o.is_active, o.must_change, o.password_at, d.revoked_at IS NOT NULL OR d.until < %(now)s,
       EXISTS (SELECT 1 FROM totp t WHERE t.officer = s.officer AND t.confirmed_at IS NOT NULL)
         OR EXISTS (SELECT 1 FROM passkey p WHERE p.officer = s.officer),
       (SELECT mode = 'demo' FROM installation WHERE id = 1)
FROM sign_in s JOIN officer o ON o.id = s.officer LEFT JOIN device d ON d.id = s.device
WHERE s.id = %(id)s
"""


@dataclass(frozen=True)
class Standing:
    """Where a sign-in stands at this request."""

    id: UUID
    officer: int
    how: str  # password | code | pin
    device: UUID | None
    began_at: datetime
    seen_at: datetime
    locked_at: datetime | None
    second_at: datetime | None
    ended_at: datetime | None
    agent_hash: bytes
    is_active: bool
    must_change: bool
    password_at: datetime | None
    device_gone: bool | None
    has_factor: bool
    demo: bool | None

    @property
    def fresh(self) -> bool:
        """Whether a second factor was shown within the last minutes (BIHUAN_STEP_UP_MINUTES)."""
        return self.second_at is not None and clock.real_now() - self.second_at < limits.minutes("BIHUAN_STEP_UP_MINUTES")

    @property
    def wants_second(self) -> bool:
        """A password alone opens nothing in a real city. In a demonstration it does; sensitive acts ask there too."""
        return self.how == "password" and self.second_at is None and not self.demo

    @property
    def wants_password(self) -> bool:
        if self.how != "password":
            return False
        days = limits.of("BIHUAN_PASSWORD_DAYS")
        old = bool(days) and self.password_at is not None and clock.real_now() - self.password_at > timedelta(days=days)
        return self.must_change or old


def agent_words(header: str) -> str:
    """The browser and the system in two words, for a list of one's own sign-ins."""
    browsers = ("MicroMessenger", "Edg", "Firefox", "Chrome", "Safari")
    systems = ("HarmonyOS", "Android", "iPhone", "iPad", "Windows", "Macintosh", "Linux")
    names = {"MicroMessenger": "WeChat", "Edg": "Edge", "Macintosh": "Mac"}
    found = [next((name for name in family if name in header), "") for family in (browsers, systems)]
    return " · ".join(names.get(name, name) for name in found if name)


def _agent_hash(request: HttpRequest) -> bytes:
    """The kind of browser without its version, which changes by itself at night. Empty where the browser says nothing."""
    words = agent_words(request.META.get("HTTP_USER_AGENT", ""))
    return secrets.plain_hash(words) if words else b""


def _begin(sender, request: HttpRequest | None, user, **kwargs) -> None:
    """Django has signed somebody in (and changed the session's key): the row begins."""
    if request is None:
        return
    now = clock.real_now()
    made = SignIn.objects.create(
        id=uuid4(), officer_id=user.pk, how=getattr(request, "signed_in_by", "password"), device_id=getattr(request, "signed_in_on", None),
        began_at=now, seen_at=now, second_at=now if getattr(request, "signed_in_by", "") == "pin" else None,
        address=log.address(request), agent=agent_words(request.META.get("HTTP_USER_AGENT", "")), agent_hash=_agent_hash(request),
    )  # fmt: skip
    request.session[KEY] = str(made.id)
    log.note("signed_in", officer=user.pk, request=request, detail=made.how)


def _end(sender, request: HttpRequest | None, user, **kwargs) -> None:
    made = request.session.get(KEY) if request is not None else None
    if made and SignIn.objects.filter(id=made, ended_at=None).update(ended_at=clock.real_now(), ended_why="signed_out"):
        log.note("signed_out", officer=user.pk if user else None, request=request)


def install() -> None:
    user_logged_in.connect(_begin, dispatch_uid="bihuan.access.sessions")
    user_logged_out.connect(_end, dispatch_uid="bihuan.access.sessions")


def standing(request: HttpRequest) -> Standing | None:
    """The request's sign-in when it still holds; else None, and the row says why it ended.

    It ends with the account, with its device, after BIHUAN_SESSION_HOURS, or in another browser. After
    BIHUAN_IDLE_MINUTES without a sign of life it is locked, not ended. Not inside a read-only transaction.
    """
    made = request.session.get(KEY)
    if not made:
        return None
    now = clock.real_now()
    with connection.cursor() as cursor:
        cursor.execute(_READ, {"id": made, "now": now})
        row = cursor.fetchone()
    if row is None or row[1] != request.user.pk:
        return None
    found = Standing(*row)
    if found.ended_at is not None:
        return None
    agent = _agent_hash(request)
    if not found.is_active:
        return _over(found, request, "account_ended")
    if found.device_gone:
        return _over(found, request, "device_revoked")
    if now - found.began_at > timedelta(hours=limits.of("BIHUAN_SESSION_HOURS")):
        return _over(found, request, "too_long")
    if found.agent_hash and agent != bytes(found.agent_hash):
        log.note("session_elsewhere", about=found.officer, request=request, detail=agent_words(request.META.get("HTTP_USER_AGENT", "")))
        return _over(found, request, "elsewhere")
    if found.locked_at is None and now - found.seen_at > limits.minutes("BIHUAN_IDLE_MINUTES"):
        lock(found.id, request, found.officer)
        return read(found.id)
    if found.locked_at is None and now - found.seen_at > SEEN_EVERY and not _is_passive(request):
        SignIn.objects.filter(id=found.id).update(seen_at=now)
    return found


def read(sign_in: UUID) -> Standing | None:
    with connection.cursor() as cursor:
        cursor.execute(_READ, {"id": sign_in, "now": clock.real_now()})
        row = cursor.fetchone()
    return Standing(*row) if row else None


def _is_passive(request: HttpRequest) -> bool:
    given = request.headers.get(IDLE_HEADER, "")
    return given.isdecimal() and int(given) > _IDLE_SECONDS_MAX


def _over(found: Standing, request: HttpRequest, why: str) -> None:
    end(found.id, why)
    log.note("session_ended", about=found.officer, request=request, detail=why)


def end(sign_in: UUID, why: str) -> bool:
    return bool(SignIn.objects.filter(id=sign_in, ended_at=None).update(ended_at=clock.real_now(), ended_why=why))


def end_all(officer: int, why: str, but: UUID | None = None) -> int:
    """End an officer's sign-ins, except the one named; how many."""
    return SignIn.objects.filter(officer=officer, ended_at=None).exclude(id=but).update(ended_at=clock.real_now(), ended_why=why)


def lock(sign_in: UUID, request: HttpRequest, officer: int) -> None:
    """Everything stays closed until the same officer shows again who he or she is."""
    if SignIn.objects.filter(id=sign_in, locked_at=None).update(locked_at=clock.real_now()):
        log.note("screen_locked", officer=officer, request=request)


def unlock(sign_in: UUID, request: HttpRequest, officer: int) -> None:
    now = clock.real_now()
    SignIn.objects.filter(id=sign_in).update(locked_at=None, seen_at=now)
    request.session.cycle_key()
    log.note("screen_unlocked", officer=officer, request=request)


def second_shown(request: HttpRequest, by: str) -> None:
    """A second factor was shown: it is fresh from now on, and the session gets a new key."""
    SignIn.objects.filter(id=request.standing.id).update(second_at=clock.real_now())
    request.session.cycle_key()
    log.note("second_passed", officer=request.standing.officer, request=request, detail=by)
