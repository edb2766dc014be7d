"""Whoever asks for a page acts in one post; what is read is read in that post's scope, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.core.signing import BadSignature
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from bihuan.access import late, limits, scope, second_factor, sessions
from bihuan.access.models import Post
from bihuan.access.permissions import Permission, Role
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused

# All that answers to somebody who has not signed in. A new page is closed unless it stands here.
PUBLIC = ("/sign-in", "/healthz", "/i18n/setlang/")
POST_KEY = "post"
SAFE = ("GET", "HEAD")

# "Not yours" and "not there" are one answer: nobody learns that something exists. All such codes end alike.
_HIDDEN = "_not_found"
_STATUS = {"not_permitted": 403, "csrf": 403, "body_too_large": 413, "reads_too_many": 429}


def status_of(refused: Refused) -> int:
    """404 for what is not there or not yours, 403 for what the post may not do, 409 for what cannot be done now."""
    return 404 if refused.code.endswith(_HIDDEN) else _STATUS.get(refused.code, 409)


def reading_scope(post: Post) -> scope.Scope:
    return scope.of(post, read_only=True)


@contextmanager
def reading(request: HttpRequest) -> Iterator[None]:
    """One read-only transaction with the scope of the reader's post."""
    with scope.acting(reading_scope(request.post)), transaction.atomic():
        yield


def refusal(request: HttpRequest, refused: Refused) -> HttpResponse:
    """A refusal as a page: what, why, and the code to quote; below the county that is a number, no word of the program."""
    status = status_of(refused)
    post = getattr(request, "post", None)
    plain = post is not None and Role(post.role).is_below_county
    context = {"sentence": refused.sentence(get_language() or "zh"), "reference": refused.code, "plain_words": plain}
    template = {403: "403.html", 404: "404.html"}.get(status, "refused.html")
    if status == 404:
        context = {}
    return render(request, template, context, status=status)


class ActingPost:
    """Puts the sign-in and the valid post on the request; GET and HEAD run, rendering included, in a read-only transaction with its scope.

    Both are looked up at each request: a disabled account, a revoked device, an ended post or another unit counts from
    the next click. What is changed is changed by actions, which bring their own transaction and scope.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.post = request.standing = request.shut = None
        if request.path not in PUBLIC:
            behind = _behind(request)  # before the session of an ended account is emptied
            answer = self._enter(request)
            if answer is not None:
                if behind is not None and late.is_kept(request):
                    request.shut = (answer, behind)  # its form's token is still looked at; `process_view` goes no further
                    answer = self.get_response(request)
                elif request.method not in SAFE and request.path not in ("/sign-out", "/lock"):
                    messages.warning(request, _("刚才点的没有保存。请登录后再办一次。"))
                return _stamped(_stayed(request, _remembered(request, answer, behind)))
        elif request.user.is_authenticated:
            request.standing = sessions.standing(request)
            if request.standing is not None and stage(request.standing) is None:
                request.post = _post(request)
        if request.post is not None and request.method in SAFE:
            with reading(request):
                response = self.get_response(request)
        else:
            response = self.get_response(request)
        return _stamped(_stayed(request, response))

    def process_view(self, request: HttpRequest, view: Callable, args: tuple, names: dict) -> HttpResponse | None:
        """A record that came to a shut door is kept; its sender is led to the door, and through it to the entry."""
        if request.shut is None:
            return None
        answer, behind = request.shut
        number = late.keep(request, behind)
        if number is None:
            return answer
        where = stage(request.standing) if request.standing is not None else None
        messages.warning(request, _("刚才点的保存还没有记上，内容已经留下：登录后点“记下”。"))
        return _go(request, where or "/sign-in", f"/late/{number}", always=True)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, second_factor.Needed):
            return _to(request, exception.url)
        return refusal(request, exception) if isinstance(exception, Refused) else None

    def _enter(self, request: HttpRequest) -> HttpResponse | None:
        """None: go on. Else: to the sign-in, to what it still lacks, or to the choice of a post."""
        after = request.get_full_path() if request.method in SAFE else "/"
        if not request.user.is_authenticated:
            return _go(request, "/sign-in", after)
        request.standing = sessions.standing(request)
        if request.standing is None:
            return _out(request, _("登录已结束，请重新登录。"))
        lacks = stage(request.standing)
        if lacks is not None:
            if request.path == "/sign-out" or request.path == lacks or request.path.startswith(f"{lacks}/"):
                return None
            return _go(request, lacks, after)
        request.post = _post(request)
        if request.post is None and request.path not in ("/post", "/sign-out", "/unlock") and not request.path.startswith("/account"):
            if POST_KEY in request.session:
                sessions.end(request.standing.id, "post_ended")
                return _out(request, _("您的岗位已变动或到期，请重新登录。"))
            return _go(request, "/post", after)
        return None


def stage(standing: sessions.Standing) -> str | None:
    """The page that a sign-in still has to pass before anything else opens; None when nothing is missing."""
    if standing.locked_at is not None:
        return "/unlock"
    if standing.wants_second and standing.has_factor:
        return "/second-factor"
    if standing.wants_password:
        return "/account/password"
    return "/account/second-factor" if standing.wants_second else None


def _post(request: HttpRequest) -> Post | None:
    chosen = request.session.get(POST_KEY)
    if chosen is None:
        return None
    posts = Post.objects.select_related("unit", "unit__region", "officer")
    if request.standing.how in sessions.BY_PHONE:
        posts = posts.filter(role__in=[role for role in Role if role.signs_in_by_phone])
    return posts.filter(id=chosen, officer_id=request.user.pk, valid__contains=clock.today()).first()


def _out(request: HttpRequest, sentence: str) -> HttpResponse:
    logout(request)
    messages.warning(request, sentence)
    return _go(request, "/sign-in", "/")


WAS = "was"  # cookie: the sign-in that ended in this browser, so that what is still sent from its open pages is known as its own


def _behind(request: HttpRequest) -> late.Behind | None:
    """Whose request it is, also when the sign-in is over: by the session, else by what it left."""
    made = request.session.get(sessions.KEY)
    if made:
        return late.Behind(UUID(made), request.session.get(POST_KEY))
    try:
        sign_in, _, post = request.get_signed_cookie(WAS, max_age=_was_seconds()).partition("/")
        return late.Behind(UUID(sign_in), int(post) if post else None)
    except (KeyError, BadSignature, ValueError):
        return None


def _was_seconds() -> int:
    return limits.of("BIHUAN_SESSION_HOURS") * 3600


def _remembered(request: HttpRequest, answer: HttpResponse, behind: late.Behind | None) -> HttpResponse:
    if behind is not None and sessions.KEY not in request.session:
        value = f"{behind.sign_in}/{behind.post or ''}"
        answer.set_signed_cookie(WAS, value, max_age=_was_seconds(), httponly=True, samesite="Strict", secure=settings.HTTPS)
    return answer


def _go(request: HttpRequest, where: str, after: str, *, always: bool = False) -> HttpResponse:
    if _is_htmx(request) and not always:
        return _to(request, where)  # the address of a fragment is no page to come back to
    return _to(request, where if after == "/" else f"{where}?{urlencode({'next': after})}")


def _to(request: HttpRequest, url: str) -> HttpResponse:
    return HttpResponse(status=204, headers={"HX-Redirect": url}) if _is_htmx(request) else HttpResponseRedirect(url)


def _is_htmx(request: HttpRequest) -> bool:
    return bool(getattr(request, "htmx", False)) or request.headers.get("HX-Request") == "true"


def _stayed(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """A page that sends its form by script is told where to go: if it followed by itself, it would read the next page's messages away."""
    if "Bihuan-Stay" in request.headers and response.status_code in (301, 302, 303):
        response["Bihuan-Go"] = response["Location"]
        del response["Location"]
        response.status_code = 204
    return response


def _stamped(response: HttpResponse) -> HttpResponse:
    """The page's clock believes the server, never the device."""
    response.headers["Bihuan-Now"] = f"{clock.now().timestamp():.3f}"
    return response


def allow(request: HttpRequest, *permissions: Permission) -> Post:
    """The reader's post when it may do all of this; else refuses (`not_permitted`)."""
    post = request.post
    if post is None or not all(post.may(permission) for permission in permissions):
        raise Refused(
            "not_permitted",
            "您的岗位不能做这件事。需要的话请找上一级值班室。",
            "Your post may not do this. If it is needed, ask the duty desk of the level above.",
        )
    return post
