"""One browser takes half of what the house answers at once, and no more; who presses on gets less; a turn comes to everybody."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from django.conf import settings
from django.http import HttpResponse
from django.test import RequestFactory
from tests.faults.test_strangers import harness

from bihuan.site import middleware
from bihuan.site.middleware import AGAIN_SECONDS, REST_SECONDS_MAX, Turns


def test_who_opens_ever_more_pages_waits_for_the_others():
    go_on, inside = threading.Event(), threading.Semaphore(0)

    def slow(request):
        inside.release()
        assert go_on.wait(20)
        return HttpResponse("a page")

    turns = Turns(slow)

    def ask(browser: str, method: str = "get"):
        request = getattr(RequestFactory(), method)("/duties")
        if browser:
            request.COOKIES[settings.SESSION_COOKIE_NAME] = browser
        return turns(request)

    with ThreadPoolExecutor(turns.most + 3) as pool:
        mine = [pool.submit(ask, "mine") for _ in range(turns.most)]
        for _ in mine:
            assert inside.acquire(timeout=20)
        read, saved = ask("mine"), ask("mine", "post")
        others = [pool.submit(ask, browser) for browser in ("another", "", "")]  # strangers are not one browser
        for _ in others:
            assert inside.acquire(timeout=20)
        go_on.set()
        assert [one.result().status_code for one in (*mine, *others)] == [200] * (turns.most + 3)
    assert (read.status_code, saved.status_code) == (429, 429)
    assert read.headers["Refresh"] == "1", "what was only to be read opens by itself"
    assert "Refresh" not in saved.headers, "what was to be saved is never sent again unasked"
    assert "同时打开的页面太多" in read.content.decode()
    assert ask("another").status_code == 200
    assert list(turns._browsers) == ["mine"], "who waits for nothing is forgotten"


def test_who_presses_on_has_one_page_at_a_time_and_rests_as_long_as_it_took(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(middleware, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def ask(within: int = 0, took: float = 0, late: int = 0) -> list[int]:
        """A page that opens another while it is made, which opens another; the answers from the innermost out."""
        request = RequestFactory().get("/duties")
        request.COOKIES[settings.SESSION_COOKIE_NAME] = "mine"
        request.inner = lambda: ask(within - 1) if within else []
        request.late = lambda: ask() if late else []
        request.took, request.answers = took, []
        answer = turns(request)
        return [*request.answers, answer.status_code]

    def page(request):
        request.answers += request.inner()
        now[0] += request.took
        request.answers += request.late()
        return HttpResponse("a page")

    turns = Turns(page)
    turns.most = 2
    assert ask(within=1) == [200, 200]
    assert ask(within=2, took=0.25) == [429, 200, 200], "the third at once is refused"
    assert ask() == [429], "it took a quarter of a second, and so long it rests"
    now[0] += 0.25
    assert ask(within=1) == [429, 200], "one at a time"
    now[0] += AGAIN_SECONDS
    assert ask(within=1) == [200, 200], "and as before for who waited as long as it was told"
    assert turns._browsers == {}
    turns.most = 1
    assert ask(took=60, late=1) == [429, 200]
    for _ in range(4):
        assert ask() == [429], "still pressing"
        now[0] += REST_SECONDS_MAX / 4
    assert ask() == [200], "a long page is no long rest"


def test_others_work_beside_a_crowd(city):
    from drills import crowd

    drill = harness.Drill("crowd", {"people": 60, "hands": 12, "seconds": 2, "seed": 7})
    crowd.run(drill)
    assert drill.checks["who works gets every page"], drill.examples
    assert drill.checks["the crowd was a crowd"]
    assert drill.figures["answers to the crowd"].keys() <= {"200", "429"}
    assert drill.figures["answers to the crowd"]["429"] > 0
