"""Who an officer is, and in which post he or she may act."""

from __future__ import annotations

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
        raise Refused("no_post", f"没有账号 {login}，或今天没有岗位。", f"There is no login {login}, or it holds no post today.")
    return post
