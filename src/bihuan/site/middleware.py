"""What every answer carries."""

from __future__ import annotations

import dataclasses
import functools
import logging
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import get_language
from psycopg.errors import QueryCanceled

from bihuan.access.middleware import refusal
from bihuan.intake import actions as intake
from bihuan.kernel.refused import Refused
from bihuan.leads import export
from bihuan.site.actions import note_denied
from bihuan.site.serve import threads

log = logging.getLogger("bihuan.denied")

# Everything comes from this host; no script or style inside a page; nobody may frame us.
POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)


class ContentSecurityPolicy:
    """Sends the policy, and keeps pages with personal data out of every cache."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Permissions-Policy", "camera=(self), geolocation=(self), microphone=()")
        return response


BODY_BYTES_MAX = 4 * 2**20  # a form with ten thousand ticked lines has a few hundred kilobytes
FILES_BYTES_MAX = {"/intake/upload": intake.BYTES_MAX + 2**20, "/lists/return": export.BYTES_MAX + 2**20}


class Bounded:
    """Refuses (413, `body_too_large`) a body that is larger than what its address takes, before a byte of it is read or kept.

    A body that does not say its length has none for Django. Nothing before the sign-in reads a body (the token of a form is
    looked at when its view is known), so a stranger cannot fill the disk of the house.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length, most = request.META.get("CONTENT_LENGTH") or "0", FILES_BYTES_MAX.get(request.path, BODY_BYTES_MAX)
        if not length.isdecimal() or int(length) > most:
            n = most // 2**20
            refused = Refused(
                "body_too_large",
                f"一次提交的内容最多 {n} MB，这次没有保存；请分几次交。",
                f"At most {n} MB at once; nothing was saved. Please send it in parts.",
            )
            return refusal(request, refused)
        return self.get_response(request)


@functools.cache  # a crowd is refused by the hundred a second: the page is written once for each way of reading it
def _too_many(language: str, is_large: bool) -> bytes:
    cookies = {"size": "large"} if is_large else {}
    return render_to_string("429.html", {"request": SimpleNamespace(COOKIES=cookies)}).encode()


AGAIN_SECONDS = 1  # after which a refused page opens again by itself
CALM_SECONDS = 0.9 * AGAIN_SECONDS  # who waited so long does not press
REST_SECONDS_MAX = 2.0  # whoever presses because one long page is under way shall not wait as long again
BROWSERS_MAX = 500  # remembered because they pressed, before those that are calm again are forgotten


@dataclasses.dataclass
class _Browser:
    n_open: int = 0
    refused_at: float = -CALM_SECONDS
    rests_until: float = 0.0

    def has_turn(self, now: float, most: int) -> bool:
        if now - self.refused_at >= CALM_SECONDS:
            return self.n_open < most
        return not self.n_open and now >= self.rests_until


class Turns:
    """Of one browser, half of what the house answers at once: who opens, or is made to open, ever more pages waits for the others.

    What is beyond is refused (429) before anything is asked of the database, and a page that was only read tries again by
    itself. Whoever presses on, sooner than it was told, has one page at a time and rests after each as long as it took.
    Strangers have no session; for them the doors count (access.attempts).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.most = max(2, threads() // 2)
        self._lock = threading.Lock()
        self._browsers: dict[str, _Browser] = {}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        name = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        if not name:
            return self.get_response(request)
        began = time.monotonic()
        with self._lock:
            browser = self._browsers.setdefault(name, _Browser())
            goes_on = browser.has_turn(began, self.most)
            if goes_on:
                browser.n_open += 1
            else:
                browser.refused_at = began
        if not goes_on:
            again = {"Retry-After": str(AGAIN_SECONDS)}
            if request.method in ("GET", "HEAD"):
                again["Refresh"] = str(AGAIN_SECONDS)
            return HttpResponse(_too_many(get_language() or "", request.COOKIES.get("size") == "large"), status=429, headers=again)
        try:
            return self.get_response(request)
        finally:
            ended = time.monotonic()
            with self._lock:
                browser.n_open -= 1
                browser.rests_until = ended + min(ended - began, REST_SECONDS_MAX)
                if ended - browser.refused_at >= CALM_SECONDS and not browser.n_open:
                    del self._browsers[name]
                if len(self._browsers) > BROWSERS_MAX:
                    self._forget(ended)

    def _forget(self, now: float) -> None:
        calm = [name for name, b in self._browsers.items() if not b.n_open and now - b.refused_at >= CALM_SECONDS]
        for name in calm:
            del self._browsers[name]


class PlainText:
    """Refuses (400) what no text holds: a NUL in an address or a field. The database would refuse it too, later and less kindly."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = [request.path, *request.GET, *(v for _k, values in request.GET.lists() for v in values)]
        if request.method == "POST":
            given += [*request.POST, *(v for _k, values in request.POST.lists() for v in values)]
            given += [file.name or "" for _k, files in request.FILES.lists() for file in files]
        if any("\0" in text for text in given):
            return render(request, "400.html", status=400)
        return self.get_response(request)


class Patience:
    """A question that the database gave up on (statement_timeout of the web's connections) is answered by a sentence, not by a fault."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        is_late = isinstance(exception, OperationalError) and isinstance(exception.__cause__, QueryCanceled)
        if is_late and request.method in ("GET", "HEAD"):  # an act that was too slow is told by `away`, as not saved
            return render(request, "too_slow.html", status=503)
        return None


class Noticed:
    """A post that asks for what it may not see is counted: by address and hour, without ids. Stands outside of the reading transaction.

    Also a line of the log for each, so that somebody who watches the logs needs no database: post, unit, address, status.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        post, match = getattr(request, "post", None), request.resolver_match
        if response.status_code in (403, 404, 429) and post is not None and match is not None:
            log.warning("denied status=%d post=%d unit=%d address=/%s", response.status_code, post.id, post.unit_id, match.route)
            note_denied(by=post, address=f"/{match.route}", status=response.status_code)
        return response
