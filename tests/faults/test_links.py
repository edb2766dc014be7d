"""Persons joined by mistake and parted again: everything as before. A thousand cases: `bihuan drill links`."""

from __future__ import annotations

import sys

from tests.conftest import REPO

if str(REPO) not in sys.path:  # `drills/` lies beside `src/`: the product never imports it
    sys.path.insert(0, str(REPO))
from drills import harness, links  # noqa: E402


def test_a_link_and_its_end_leave_both_histories_as_they_were(city, acting):
    with acting("work"):
        drill = harness.Drill("links", {"cases": 20, "people": 24, "seed": 7})
        links.run(drill)
    assert drill.figures["duties that another stood for meanwhile"] > 0
    assert all(drill.checks.values()), drill.examples
