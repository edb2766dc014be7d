"""One browser takes half of what the house answers at once, and no more; what it was refused it gets when its turn has come."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.http import HttpResponse
from django.test import RequestFactory
from tests.faults.test_strangers import harness

from bihuan.site.middleware import Turns


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
    assert ask("mine").status_code == 200


def test_others_work_beside_a_crowd(city):
    from drills import crowd

    drill = harness.Drill("crowd", {"people": 60, "hands": 12, "seconds": 2, "seed": 7})
    crowd.run(drill)
    assert drill.checks["who works gets every page"], drill.examples
    assert drill.checks["the crowd was a crowd"]
    assert drill.figures["answers to the crowd"].keys() <= {"200", "429"}
    assert drill.figures["answers to the crowd"]["429"] > 0
