"""一个人拼命查、翻、导，别的人照样办事 / one who asks without end slows nobody else.

First a township's desk and a village work by themselves: my work, a person, the overview, with a breath in between. Then a city's
desk opens as many pages at once as it can: searches for a wildcard and for one letter, deep pages, huge filters, the list behind the
largest figure, three times over all days. Told are the 99th percentiles of the others' pages, with and without the crowd.
"""

from __future__ import annotations

import http.client
import random
import tempfile
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from drills import house
from drills.harness import Drill, spread
from drills.kills import rows_of

OPTIONS = {
    "people": (20_000, "名单上多少人 / people on the list"),
    "hands": (16, "一个人同时打开多少页 / pages that one person opens at once"),
    "seconds": (180, "每一段多久，秒 / seconds of each part; below two hundred pages of a kind their 99th percentile is one page"),
    "seed": (20220828, "随机种子 / seed"),
}
TIMES_MAX = 2.0  # by how much the 99th percentile of the others may grow
PAUSE_SECONDS = (0.1, 0.4)  # between two pages of one who works
REFUSED_SECONDS = 0.05  # a browser comes again after a second
PART = 1000  # people of one list
HEAVY = (
    "/people?q=" + quote("%"), "/people?q=w", "/people?q=" + quote("王"), "/duties?state=all&q=" + quote("王"),
    "/duties?state=all&after=" + quote("9999999999~999999999"), "/duties?state=late&kind=leads.verify", "/overview", "/times?days=0",
    "/sources?days=0",
)  # fmt: skip


def run(drill: Drill) -> None:
    from django.db import connection

    leads = _take_in(drill)
    with tempfile.TemporaryDirectory(prefix="bihuan-crowd-") as folder:
        port = house.free_port()
        settings = {"BIHUAN_DATABASE": connection.settings_dict["NAME"], "BIHUAN_PORT": str(port), "BIHUAN_POOL": "1"}
        web = house.Program(Path(folder), "bihuan.site.serve", role="app", **settings)
        try:
            house.wait_for(lambda: house.Browser(port, "").get("/healthz")[0] == 200, "the pages")
            alone = _worked(drill, port, leads, hands=0)
            beside = _worked(drill, port, leads, hands=drill.hands)
        finally:
            web.kill()
    worse = []
    for name in sorted(alone.keys() & beside.keys()):
        before, after = spread(alone[name]), spread(beside[name])
        drill.figures[f"{name}, alone, s"], drill.figures[f"{name}, in the crowd, s"] = before, after
        if after["p99"] > TIMES_MAX * before["p99"]:
            worse.append((name, round(after["p99"] / before["p99"], 2)))
    drill.must("the others' 99th percentile stays below twice", worse)


def _take_in(drill: Drill) -> list[str]:
    """People of the demonstration's village; returns some of their leads."""
    from bihuan.access import queries as access
    from bihuan.intake import actions
    from bihuan.kernel import ids
    from bihuan.site import demo, setup

    with setup.acting("app"):
        post = access.post_of(demo.CONSOLE)
        for no in range(max(1, drill.people // PART)):
            name, data = f"{no}.csv", rows_of(no, min(PART, drill.people))
            stored = actions.store(by=post, event=demo.event(), kind="leads", source="data", name=name, data=data, act=ids.new_id())
            actions.process(stored.file, by=post)
            drill.say(f"{no + 1} lists")
    house.ask("ANALYZE")
    return [str(lead) for (lead,) in house.ask("SELECT id FROM lead ORDER BY id LIMIT 200")]


def _worked(drill: Drill, port: int, leads: list[str], hands: int) -> dict[str, list[float]]:
    """Seconds of each page of those who work, while somebody else asks with so many hands."""
    took: dict[str, list[float]] = defaultdict(list)
    said: Counter[int] = Counter()
    until = time.monotonic() + drill.seconds
    wrong: list[tuple] = []

    def work(who: str, pages: dict[str, list[str]]) -> None:
        dice, browser = random.Random(f"{drill.seed}{who}"), house.Browser(port, house_session[who], 60)
        is_first = True  # what a connection of the house asks for the first time is planned: nobody's crowd
        while time.monotonic() < until:
            for name, addresses in pages.items():
                began = time.monotonic()
                status, _, _ = browser.get(dice.choice(addresses))
                if not is_first:
                    took[f"{who}: {name}"].append(time.monotonic() - began)
                if status != 200:
                    wrong.append((who, name, status))
                time.sleep(dice.uniform(*PAUSE_SECONDS))
            is_first = False

    def crowd(no: int) -> None:
        dice, browser = random.Random(drill.seed + no), house.Browser(port, house_session["shi"], 60)
        while time.monotonic() < until:
            with suppress(OSError, http.client.HTTPException):
                status = browser.get(dice.choice(HEAVY))[0]
                said[status] += 1
                if status == 429:  # one process measures and hammers: without a breath it would measure itself
                    time.sleep(REFUSED_SECONDS)

    house_session = {login: house.session_of(login) for login in ("zhen", "cun", "shi")}
    people = [f"/leads/{lead}" for lead in leads]
    tasks = [
        threading.Thread(target=work, args=("zhen", {"my work": ["/duties"], "a person": people, "overview": ["/overview"]})),
        threading.Thread(target=work, args=("cun", {"my work": ["/duties"], "a person": people})),
        *(threading.Thread(target=crowd, args=(no,)) for no in range(hands)),
    ]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    if hands:
        drill.figures["answers to the crowd"] = {str(status): n for status, n in sorted(said.items())}
        drill.must("the crowd was a crowd", sum(said.values()) > hands)
    drill.must("who works gets every page", wrong)
    return took
