"""Who an officer is, and in which post he or she may act."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection

from bihuan.access.models import Post
from bihuan.access.permissions import Role
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused


def posts_of(officer: int, *, by_phone: bool = False) -> list[Post]:
    """The posts that an officer holds today, in the order of their making. `by_phone`: those of village and grid alone."""
    posts = Post.objects.select_related("unit", "officer").filter(officer_id=officer, valid__contains=clock.today())
    if by_phone:
        posts = posts.filter(role__in=[role for role in Role if role.signs_in_by_phone])
    return list(posts.order_by("id"))


def post_of(login: str) -> Post:
    """The first post of an officer by login. Refuses an unknown login or one without a post today (`no_post`), and an
    installation in which no city was set up yet (`no_city`).
    """
    post = (
        Post.objects.select_related("unit", "officer")
        .filter(officer__login=login, officer__is_active=True, valid__contains=clock.today())
        .order_by("id")
        .first()
    )
    if post is None and not Post.objects.exists():
        raise Refused(
            "no_city",
            "还没有建立城市：先运行 ./bihuan demo（演示）或 ./bihuan city open（真实城市）。",
            "No city is set up yet: run ./bihuan demo (to try out) or ./bihuan city open (a real city) first.",
        )
    if post is None:
        raise Refused(
            "no_post",
            f"没有账号 {login}，或今天没有岗位。命令里用 --as 账号 写明以谁的名义办。",
            f"There is no login {login}, or it holds no post today. Commands take --as LOGIN: in whose name.",
        )
    return post


@dataclass(frozen=True)
class OfficerRow:
    """An officer with one of his or her posts, as lists of accounts show them."""

    officer: int
    login: str
    name: str
    phone: str
    is_active: bool
    post: int
    role: str
    unit: int
    unit_name: str
    until: date | None
    signed_in_at: datetime | None
    n_devices: int


_OFFICERS = """
SELECT o.id, o.login, o.name, o.phone, o.is_active, p.id, p.role, p.unit, u.name, upper(p.valid) - 1, o.last_login,
       (SELECT count(*) FROM device d WHERE d.officer = o.id AND d.revoked_at IS NULL AND d.until > %(real_now)s)
FROM post p JOIN officer o ON o.id = p.officer JOIN unit u ON u.id = p.unit
JOIN region_scope s ON s.region_id = u.region_id AND s.valid @> %(today)s::date
WHERE s.scope >= %(lo)s AND s.scope < %(hi)s AND p.id > %(after)s {where}
ORDER BY p.id LIMIT %(limit)s
"""


def officers(
    by: Post,
    *,
    roles: Sequence[Role] = (),
    q: str = "",
    only: Collection[int] | None = None,
    ended: bool = False,
    after: int = 0,
    limit: int = 51,
) -> list[OfficerRow]:
    """Officers with posts in the reader's territory, one row a post, in the order of posts. `q`: name, login, phone or unit.

    `only`: these officers. `ended`: those whose account or post has ended instead of those in office.
    """
    where = " AND NOT (o.is_active AND p.valid @> %(today)s::date)" if ended else " AND o.is_active AND p.valid @> %(today)s::date"
    if roles:
        where += " AND p.role = ANY(%(roles)s)"
    if q:
        where += " AND (o.name ILIKE %(q)s OR o.login ILIKE %(q)s OR o.phone LIKE %(q)s OR u.name ILIKE %(q)s)"
    if only is not None:
        where += " AND o.id = ANY(%(only)s)"
    lo, hi = by.territory
    with connection.cursor() as cursor:
        cursor.execute(
            _OFFICERS.format(where=where),
            {
                "lo": lo, "hi": hi, "after": after, "limit": limit, "today": clock.today(), "real_now": clock.real_now(),
                "roles": [role.value for role in roles], "q": f"%{_escaped(q)}%", "only": list(only or ()),
            },
        )  # fmt: skip
        return [OfficerRow(*row) for row in cursor.fetchall()]


def _escaped(q: str) -> str:
    return q.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def units_named(by: Post, name: str, *, kind: str = "", limit: int = 20) -> list[tuple[int, str, str]]:
    """(unit, name, name of the region above) of units in office in the reader's territory whose name holds `name`."""
    lo, hi = by.territory
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT u.id, u.name, coalesce(above.name, '') FROM unit u
            JOIN region r ON r.id = u.region_id LEFT JOIN region above ON above.id = r.parent_id
            JOIN region_scope s ON s.region_id = u.region_id AND s.valid @> %(today)s::date
            WHERE s.scope >= %(lo)s AND s.scope < %(hi)s AND u.valid @> %(today)s::date AND u.name ILIKE %(name)s
              AND (%(kind)s = '' OR u.kind = %(kind)s)
            ORDER BY u.name <> %(exact)s, length(u.name), s.scope, u.id LIMIT %(limit)s""",
            {
                "lo": lo, "hi": hi, "today": clock.today(), "name": f"%{_escaped(name)}%", "exact": name, "kind": kind, "limit": limit,
            },
        )  # fmt: skip
        return cursor.fetchall()


def colleagues(unit: int, but: int) -> list[tuple[int, str]]:
    """(officer, name) of those who hold a post in a unit today, except one."""
    posts = Post.objects.filter(unit=unit, valid__contains=clock.today(), officer__is_active=True).exclude(officer=but)
    return list(posts.order_by("officer_id").values_list("officer_id", "officer__name").distinct())
