"""Two officers act on one duty at the same instant: each pair of acts a few times; the drill does it ten thousand times."""

from __future__ import annotations

import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from drills import contests, harness  # noqa: E402


def test_nothing_is_overwritten_and_the_loser_is_told(city) -> None:
    n = len(contests.pairs())
    result = harness.run("contests", {"pairs": 2 * n, "seed": 1}, lambda line: None)
    assert result["ok"], result["examples"]
    assert result["figures"]["pairs"] == 2 * n
    together = [counter for name, counter in result["figures"].items() if name.startswith("answers: ")]
    assert len(together) == n
    # A drill in which nobody is ever overtaken would show nothing.
    assert sum("duty_changed" in answers or "duty_closed" in answers for counter in together for answers in counter) >= n // 2
