"""陌生人试门：别处的编号和没有的编号分不出快慢；从一万个地址猜验证码，猜不中 / strangers at the door: no clock tells, no code is guessed.

A desk of another township asks, in turn and at random, for persons that are not its own and for ids that name nobody: the
answers are the same, and so is the time that they take (a rank test over all calls; the difference of the medians is printed).

Then codes are guessed for a village worker through a day, from many addresses, while the township reads out a new code as
often as it lives. Each try goes through the same counting as the page's. What is judged at all is a handful for each half
hour, whatever the number of tries; the guess, the lock of the account and the locks of addresses are counted.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from drills.harness import Drill

OPTIONS = {
    "calls": (10_000, "问多少次，每个地址各一半 / calls of each kind of page, half of them about somebody"),
    "tries": (1_000_000, "猜多少次验证码 / guesses of a code, over one day"),
    "addresses": (10_000, "从多少个地址猜 / addresses from which is guessed"),
    "seed": (20220828, "随机数种子 / seed"),
}  # fmt: skip

PEOPLE = 60
# Two-sided 1 in 1,000: several kinds of pages are tried, and one of them may look uneven by chance.
Z_MAX = 3.29
WHERE = "连云港市连云区板桥街道板桥社区"
HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"


def run(drill: Drill) -> None:
    from bihuan.site import setup

    with setup.acting("app"):
        _clock(drill)
        _guesses(drill)


def _take_in() -> list[tuple[Any, Any]]:
    """(lead, person) of a list of people of 板桥街道."""
    from bihuan.access import queries as access
    from bihuan.intake import actions
    from bihuan.kernel import ids
    from bihuan.site import demo
    from drills import house

    rows = "".join(
        f"{'赵钱孙李周吴郑王冯陈'[n % 10]}小{'一二三四五六'[n // 10]},,1381100{n:04d},上海市,2022-08-27 10:00,{WHERE}{n}号\n"
        for n in range(PEOPLE)
    )
    post = access.post_of("console")
    stored = actions.store(
        by=post, event=demo.event(), kind="leads", source="community", name="a.csv", data=(HEAD + rows).encode(), act=ids.new_id(),
        claim=True,
    )  # fmt: skip
    actions.process(stored.file, by=post)
    return house.ask("SELECT id, subject FROM lead")


def _signed_in(login: str) -> Any:
    from django.test import Client

    from bihuan.access import queries as access
    from bihuan.access.models import SignIn
    from bihuan.kernel import clock

    post = access.post_of(login)
    made = Client(headers={"host": "localhost"}, raise_request_exception=False)
    made.force_login(post.officer)
    session = made.session
    session["post"] = post.id
    session.save()
    SignIn.objects.filter(id=session["sign_in"]).update(second_at=clock.real_now())
    return made


# --- the clock ----------------------------------------------------------------------------------------------------------


def _clock(drill: Drill) -> None:
    from bihuan.kernel import ids

    theirs, dice, who = _take_in(), random.Random(drill.seed), _signed_in("xian")
    pages = {
        "a person's page": lambda lead, _subject: who.get(f"/leads/{lead}"),
        "an answer about a person": lambda lead, _subject: who.post(
            f"/leads/{lead}/act", {"fact_id": str(ids.new_id()), "outcome": "will_not_come"}
        ),
        "why one sees a person": lambda _lead, subject: who.get(f"/why/{subject}"),
    }
    for name, ask in pages.items():
        took: dict[bool, list[float]] = {True: [], False: []}
        answers: dict[bool, Counter] = defaultdict(Counter)
        for n in range(drill.calls + 50):
            known = dice.random() < 0.5
            lead, subject = dice.choice(theirs) if known else (ids.new_id(), ids.new_id())
            began = time.perf_counter()
            answer = ask(lead, subject)
            seconds = time.perf_counter() - began
            answers[known][answer.status_code, len(answer.content)] += 1
            if n >= 50:  # the first calls fill caches
                took[known].append(seconds)
        z = rank_test(took[True], took[False])
        medians = {known: statistics.median(values) * 1000 for known, values in took.items()}
        drill.figures[f"{name}: not yours / not there, ms"] = {
            "not yours": round(medians[True], 3), "not there": round(medians[False], 3), "z": round(z, 2), "calls": drill.calls,
        }  # fmt: skip
        uneven = [] if set(answers[True]) == set(answers[False]) else [(name, dict(answers[True]), dict(answers[False]))]
        drill.must("the answers are the same", uneven)
        drill.must("the time tells nothing", [(name, round(z, 2))] if abs(z) > Z_MAX else [])


def rank_test(a: list[float], b: list[float]) -> float:
    """The standardised rank sum of two samples (Mann and Whitney 1947): beyond ±3.29 by chance once in a thousand."""
    ranked = sorted([(value, True) for value in a] + [(value, False) for value in b])
    rank_sum = sum(rank for rank, (_value, is_a) in enumerate(ranked, 1) if is_a)
    n, m = len(a), len(b)
    mean, deviation = n * (n + m + 1) / 2, math.sqrt(n * m * (n + m + 1) / 12)
    return (rank_sum - mean) / deviation


# --- guessing -----------------------------------------------------------------------------------------------------------


def _guesses(drill: Drill) -> None:
    from django.db import transaction
    from django.test import RequestFactory

    from bihuan.access import attempts, devices, limits
    from bihuan.access import queries as access
    from bihuan.access.models import SecurityLog
    from bihuan.kernel import clock

    worker, desk, dice = access.post_of("cun"), access.post_of("zhen"), random.Random(drill.seed)
    began, step = clock.real_now(), timedelta(days=1) / drill.tries
    lives = limits.minutes("BIHUAN_CODE_MINUTES")
    now, code_until = began, began
    judged, hits = Counter(), 0
    noted = SecurityLog.objects.count()
    with mock.patch.object(clock, "real_now", side_effect=lambda: now):
        for n in range(drill.tries):
            now = began + n * step
            if now >= code_until:
                with transaction.atomic():
                    devices.make_code(worker.officer_id, desk.id)
                code_until = now + lives
            at = f"10.{n % drill.addresses >> 16 & 255}.{n % drill.addresses >> 8 & 255}.{n % drill.addresses & 255}"
            request = RequestFactory().post("/sign-in", REMOTE_ADDR=at)
            attempt = attempts.begin(attempts.account_key(worker.officer.phone), request, worker.officer_id)
            judged[not attempt.locked] += 1
            if not attempt.locked and devices.use_code(worker.officer_id, f"{dice.randrange(10**6):06d}"):
                hits += 1
        told = SecurityLog.objects.filter(what="account_locked", about=worker.officer_id).count()
    windows = math.ceil(timedelta(days=1) / limits.minutes("BIHUAN_LOCK_MINUTES"))
    drill.figures["guesses of a code"] = {"tries": drill.tries, "addresses": drill.addresses, "judged": judged[True], "right": hits}
    drill.figures["chance of one right guess in the day"] = f"{judged[True] / 10**6:.6f}"
    drill.figures["lines in the log about it"] = SecurityLog.objects.count() - noted
    drill.must("nobody's code is guessed", hits == 0)
    drill.must("a handful is judged in each half hour", judged[True] <= limits.of("BIHUAN_LOCK_FAILURES") * (windows + 1))
    drill.must("the tries are noticed: the account's lock is in the log", told >= 1)
