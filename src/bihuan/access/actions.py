"""Every write about accounts and posts: by the security administrator, and for village and grid by the desk of their roster.

Nobody acts upon the own account here. Each act leaves a line in the log of accounts, in the same transaction. What
somebody holds by name is passed on before a post ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, connection, transaction
from psycopg.types.range import DateRange

from bihuan.access import attempts, devices, holdings, log, second_factor, secrets, sessions
from bihuan.access.action import action
from bihuan.access.decide import require
from bihuan.access.door import engine
from bihuan.access.models import Device, Officer, Post
from bihuan.access.permissions import Permission, Role
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused

LOGIN = re.compile(r"[a-z][a-z0-9_.-]{1,39}")
PHONE = re.compile(r"1[0-9]{10}")


@dataclass(frozen=True)
class Made:
    """`password` is shown once; "" for somebody who signs in by phone."""

    officer: int
    post: int
    password: str


@dataclass(frozen=True)
class Code:
    """Read out to somebody on the roster; good once."""

    officer: int
    code: str
    until: datetime


@dataclass(frozen=True)
class Ended:
    """How many things were passed on."""

    passed_on: int


# Officers with a post (of the wanted roles) in a territory, today or ever; one statement, whether there is anybody or not.
_REACH = """
SELECT DISTINCT p.officer FROM post p JOIN unit u ON u.id = p.unit
JOIN region_scope s ON s.region_id = u.region_id AND s.valid @> %(today)s::date
LEFT JOIN device d ON d.officer = p.officer AND d.id = %(device)s
WHERE s.scope >= %(lo)s AND s.scope < %(hi)s AND p.role = ANY(%(roles)s)
  AND CASE WHEN %(post)s::numeric IS NOT NULL THEN p.id = %(post)s WHEN %(device)s::uuid IS NOT NULL THEN d.id IS NOT NULL
      ELSE p.officer = %(officer)s END
"""


def _seen(by, permission: Permission, *, officer: int | None = None, post: int | None = None, device: UUID | None = None) -> Officer:
    """The officer named by number, by a post or by a device, locked, when a post of his or hers lies in the actor's territory.

    Else `officer_not_found`, after the same statements as for nobody.
    """
    require(by, permission)
    lo, hi = by.territory
    roles = [role.value for role in Role if permission != Permission.ROSTER_KEEP or role.signs_in_by_phone]
    names = {"lo": lo, "hi": hi, "roles": roles, "today": clock.today(), "officer": officer, "post": post, "device": device}
    with connection.cursor() as cursor:
        cursor.execute(_REACH, names)
        found = cursor.fetchone()
    if found is None:
        raise Refused("officer_not_found", "没有这个人，或不归您管。", "There is no such officer, or not in your range.")
    with engine():
        return Officer.objects.select_for_update().get(id=found[0])


def _manages(by) -> Permission:
    """With which right somebody ends posts and stops devices: of all accounts, or of the roster alone."""
    return Permission.ACCOUNT_MANAGE if by.may(Permission.ACCOUNT_MANAGE) else Permission.ROSTER_KEEP


def _not_oneself(by, officer: int) -> None:
    if by.officer_id == officer:
        raise Refused("not_oneself", "自己的账号要由另一位管理员来办。", "Another administrator has to do this for your own account.")


def _unit(by, unit: int, *, village: bool = False) -> str:
    """The name of a unit in office in the actor's territory. Refuses others alike (`unit_not_found`)."""
    lo, hi = by.territory
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT u.name, u.kind FROM unit u JOIN region_scope s ON s.region_id = u.region_id AND s.valid @> %(today)s::date"
            " WHERE u.id = %(unit)s AND u.valid @> %(today)s::date AND s.scope >= %(lo)s AND s.scope < %(hi)s",
            {"unit": unit, "today": clock.today(), "lo": lo, "hi": hi},
        )
        found = cursor.fetchone()
    if found is None:
        raise Refused("unit_not_found", "没有这个单位，或不归您管。", "There is no such unit, or not in your range.", "id_unit")
    if village and found[1] != "village":
        raise Refused("not_a_village", "名册只登记村居的人员。", "The roster is for villages and communities.", "id_unit")
    return found[0]


def _period(until: date | None) -> DateRange:
    today = clock.today()
    if until is not None and until < today:
        raise Refused("post_ends_before", "结束日期已经过了。", "That day of ending has passed.", "id_until")
    return DateRange(today, date.fromordinal(until.toordinal() + 1) if until else None)


def _saved(write: Callable[[], int], login: str, phone: str) -> int:
    """Refuses a login or phone that somebody has, and two branches of administrators in one hand."""
    try:
        with engine(), transaction.atomic():
            return write()
    except IntegrityError as error:
        name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", "") or ""
        if name == "officer_phone_once":
            raise Refused("phone_taken", f"手机号 {phone} 已在名册上。", f"{phone} is on the roster already.", "id_phone") from error
        if name.startswith("post_branches_apart"):
            raise Refused(
                "administrators_apart",
                "系统、安全、审计管理员不能由一人兼任，也不能兼管人的岗位。",
                "System, security and audit administrators cannot be one person, nor hold a post that works with persons.",
                "id_role",
            ) from error
        if "login" in name:
            raise Refused("login_taken", f"账号 {login} 已有人用。", f"The login {login} is taken.", "id_login") from error
        raise


@action
def enter_worker(*, by, name: str, phone: str, unit: int, until: date | None = None) -> Made | Refused:
    """Put somebody of a village or grid on the roster; the phone is what he or she signs in with.

    Somebody whose account was ended comes back with the same phone. Refuses: a unit out of range or that is no village,
    no name, a phone that is none or that somebody in office has.
    """
    require(by, Permission.ROSTER_KEEP)
    village = _unit(by, unit, village=True)
    name, phone = name.strip(), "".join(phone.split())
    if not name:
        raise Refused("name_missing", "请填姓名。", "Please give the name.", "id_name")
    if not PHONE.fullmatch(phone):
        raise Refused("phone_wrong", "手机号要 11 位数字，1 开头。", "A mobile number has 11 digits and begins with 1.", "id_phone")
    valid = _period(until)

    def write() -> int:
        officer = Officer.objects.filter(phone=phone, is_active=False).first()
        if officer is None:
            officer = Officer(login=phone, phone=phone, password=make_password(None))
        officer.name, officer.is_active = name, True
        officer.save()
        post = Post.objects.create(officer=officer, unit_id=unit, role=Role.VILLAGE_WORKER, valid=valid)
        return post.id

    post = Post.objects.get(id=_saved(write, phone, phone))
    log.note("officer_made", officer=by.officer_id, about=post.officer_id, detail=f"{name} {village}")
    return Made(post.officer_id, post.id, "")


@action
def give_code(*, by, officer: int) -> Code | Refused:
    """A code to read out to somebody on the roster of one's range. An older code is dead from now on.

    Refuses: nobody of one's range, an ended account, a person without a post in a village today.
    """
    found = _seen(by, Permission.ROSTER_KEEP, officer=officer)
    roles = [role for role in Role if role.signs_in_by_phone]
    if not found.is_active or not Post.objects.filter(officer=found, role__in=roles, valid__contains=clock.today()).exists():
        raise Refused("no_post", "这个人今天没有村居的岗位，先登记。", "This person has no post in a village today; enter it first.")
    code, until = devices.make_code(found.pk, by.id)
    log.note("code_made", officer=by.officer_id, about=found.pk)
    return Code(found.pk, code, until)


@action
def make_officer(*, by, login: str, name: str, phone: str, unit: int, role: str, until: date | None = None) -> Made | Refused:
    """An account with one post. The password is drawn, shown once, and changed at the first sign-in."""
    require(by, Permission.ACCOUNT_MANAGE)
    _unit(by, unit)
    login, name, phone = login.strip().lower(), name.strip(), "".join(phone.split())
    if not LOGIN.fullmatch(login):
        raise Refused(
            "login_wrong",
            "账号用小写字母开头，2 到 40 个字母、数字、点、横线。",
            "A login begins with a small letter: 2 to 40 letters, digits, dots, hyphens.",
            "id_login",
        )
    if not name:
        raise Refused("name_missing", "请填姓名。", "Please give the name.", "id_name")
    if phone and not PHONE.fullmatch(phone):
        raise Refused("phone_wrong", "手机号要 11 位数字，1 开头。", "A mobile number has 11 digits and begins with 1.", "id_phone")
    role = _role(role)
    if role.signs_in_by_phone and not phone:
        raise Refused(
            "phone_missing", "村居人员用手机号登录，请填手机号。", "A village worker signs in by phone; please give the number.", "id_phone"
        )
    password, valid = "" if role.signs_in_by_phone else secrets.new_password(), _period(until)

    def write() -> int:
        made = Officer.objects.create(
            login=login, name=name, phone=phone, password=make_password(password or None), must_change=bool(password),
            password_at=clock.real_now() if password else None,
        )  # fmt: skip
        return Post.objects.create(officer=made, unit_id=unit, role=role, valid=valid).id

    post = Post.objects.get(id=_saved(write, login, phone))
    log.note("officer_made", officer=by.officer_id, about=post.officer_id, detail=f"{login} {role.value} {unit}")
    return Made(post.officer_id, post.id, password)


def _role(role: str) -> Role:
    try:
        return Role(role)
    except ValueError:
        raise Refused("role_unknown", "没有这种岗位。", "There is no such role.", "id_role") from None


@action
def give_post(*, by, officer: int, unit: int, role: str, until: date | None = None) -> Made | Refused:
    """Another post, from today. Refuses: one's own account, an ended account, two branches of administrators in one hand."""
    found = _seen(by, Permission.ACCOUNT_MANAGE, officer=officer)
    _not_oneself(by, officer)
    _unit(by, unit)
    if not found.is_active:
        raise Refused("officer_ended", "账号已停用，先恢复。", "The account was ended; restore it first.")
    role, valid = _role(role), _period(until)
    known = Post.objects.filter(officer=found, unit_id=unit, role=role, valid__contains=clock.today()).first()
    if known is not None:
        return Made(officer, known.id, "")
    made = _saved(lambda: Post.objects.create(officer=found, unit_id=unit, role=role, valid=valid).id, found.login, found.phone)
    log.note("post_given", officer=by.officer_id, about=officer, detail=f"{role.value} {unit}")
    return Made(officer, made, "")


@action
def end_post(*, by, post: int, act: UUID, successor: int | None = None, to_desk: bool = False) -> Ended | Refused:
    """End a post at once. What its officer holds by name in the unit goes to `successor`, an officer of the unit, or to its desk.

    By whoever manages accounts, or for a village by whoever keeps its roster. Refuses: one's own post, a post that holds
    something while nobody is named (`post_holds`), a successor without a post in the unit (`officer_elsewhere`).
    """
    _seen(by, _manages(by), post=post)
    row = Post.objects.select_related("unit", "officer").get(id=post)
    _not_oneself(by, row.officer_id)
    if not row.is_valid():
        return Ended(0)
    return Ended(_end(by, row, successor, to_desk, act))


def _end(by, post: Post, successor: int | None, to_desk: bool, act: UUID) -> int:
    others = Post.objects.filter(officer=post.officer_id, unit=post.unit_id, valid__contains=clock.today()).exclude(id=post.id)
    held = 0 if others.exists() else holdings.count(post.officer_id, post.unit_id)
    passed = 0
    if held:
        if successor is None and not to_desk:
            raise Refused(
                "post_holds",
                f"{post.officer.name} 手上还有 {held} 件没办完：请选一个接手的人，或交给本单位值班室。",
                f"{post.officer.name} holds {held} open duties: name who takes them, or give them to the unit's desk.",
                "id_successor",
            )
        if successor is not None:
            there = Post.objects.filter(officer_id=successor, officer__is_active=True, unit=post.unit_id, valid__contains=clock.today())
            if successor == post.officer_id or not there.exists():
                raise Refused(
                    "officer_elsewhere", "接手的人不在这个单位任职。", "The successor holds no post in this unit.", "id_successor"
                )
        passed = holdings.pass_on(by=by, officer=post.officer_id, unit=post.unit_id, to=successor, act=act)
    with engine():
        Post.objects.filter(id=post.id).update(valid=DateRange(post.valid.lower, clock.today()))
    log.note("post_ended", officer=by.officer_id, about=post.officer_id, detail=f"{post.role} {post.unit_id} ({passed})")
    return passed


@action
def end_officer(*, by, officer: int, act: UUID, successor: int | None = None, to_desk: bool = False) -> Ended | Refused:
    """End an account: all its posts, each with hand-over, its sign-ins and devices. It counts from the next request."""
    found = _seen(by, Permission.ACCOUNT_MANAGE, officer=officer)
    _not_oneself(by, officer)
    if not found.is_active:
        return Ended(0)
    passed = 0
    for post in Post.objects.select_related("unit", "officer").filter(officer=officer, valid__contains=clock.today()).order_by("id"):
        passed += _end(by, post, successor, to_desk, act)
    with engine():
        Officer.objects.filter(id=officer).update(is_active=False)
    sessions.end_all(officer, "account_ended")
    for device in Device.objects.filter(officer=officer, revoked_at=None):
        devices.revoke(device.id, why="left", by=by.officer_id, request=None)
    log.note("officer_ended", officer=by.officer_id, about=officer)
    return Ended(passed)


@action
def restore_officer(*, by, officer: int) -> Made | Refused:
    """Open an ended account again, without posts and with a new password."""
    found = _seen(by, Permission.ACCOUNT_MANAGE, officer=officer)
    _not_oneself(by, officer)
    with engine():
        Officer.objects.filter(id=officer).update(is_active=True)
    log.note("officer_restored", officer=by.officer_id, about=officer)
    return Made(officer, 0, "" if not found.has_usable_password() else _new_password(found))


def _new_password(found: Officer) -> str:
    password = secrets.new_password()
    with engine():
        Officer.objects.filter(id=found.pk).update(password=make_password(password), must_change=True, password_at=clock.real_now())
    sessions.end_all(found.pk, "password_reset")
    return password


@action
def reset_password(*, by, officer: int) -> Made | Refused:
    """A new password for somebody who forgot it, shown once; all his or her sign-ins end. Second factors stay."""
    found = _seen(by, Permission.ACCOUNT_MANAGE, officer=officer)
    _not_oneself(by, officer)
    password = _new_password(found)
    log.note("password_reset", officer=by.officer_id, about=officer)
    return Made(officer, 0, password)


@action
def remove_factors(*, by, officer: int) -> None | Refused:
    """Forget the second factors of somebody who lost them; at the next sign-in new ones are bound."""
    _seen(by, Permission.ACCOUNT_MANAGE, officer=officer)
    _not_oneself(by, officer)
    second_factor.remove_all(officer)
    sessions.end_all(officer, "factors_removed")
    log.note("factors_removed", officer=by.officer_id, about=officer)


@action
def clear_lock(*, by, officer: int) -> None | Refused:
    """Let somebody try again at once who has tried too often, or of whom others have."""
    _seen(by, Permission.ACCOUNT_MANAGE, officer=officer)
    _not_oneself(by, officer)
    attempts.clear(officer)
    log.note("lock_cleared", officer=by.officer_id, about=officer)


@action
def end_sign_ins(*, by, officer: int) -> int | Refused:
    """End every sign-in of an officer, from the next request on; how many."""
    _seen(by, Permission.ACCOUNT_MANAGE, officer=officer)
    ended = sessions.end_all(officer, "ended_by_administrator")
    log.note("session_ended", officer=by.officer_id, about=officer, detail=str(ended))
    return ended


@action
def revoke_device(*, by, device: UUID) -> bool | Refused:
    """Stop a device of somebody in one's range. By whoever manages accounts or keeps the roster."""
    _seen(by, _manages(by), device=device)
    return devices.revoke(device, why="lost", by=by.officer_id, request=None)
