"""Strangers at the door, a few of them. Ten thousand calls, a million guesses: `bihuan drill strangers`."""

from __future__ import annotations

import sys

from tests.conftest import REPO

if str(REPO) not in sys.path:  # `drills/` lies beside `src/`: the product never imports it
    sys.path.insert(0, str(REPO))
from drills import harness, strangers  # noqa: E402


def test_ids_of_others_look_like_none_and_codes_are_not_guessed(city):
    drill = harness.Drill("strangers", {"calls": 30, "tries": 960, "addresses": 300, "seed": 7})
    strangers.run(drill)
    checks = dict(drill.checks)
    checks.pop("the time tells nothing")  # by so few calls nothing is told of the time
    assert all(checks.values()), drill.examples
    assert drill.figures["guesses of a code"]["judged"] == 240, "five in each half hour of a day"


def test_the_rank_test_sees_a_difference_and_none_where_there_is_none():
    even = [n / 1000 for n in range(1000)]
    assert abs(strangers.rank_test(even, [value + 0.0005 for value in even])) < 1
    assert strangers.rank_test([value + 0.1 for value in even], even) > strangers.Z_MAX
