"""Repeated, reordered and split uploads of devices with wrong clocks: forty seeds of the drill of ten thousand."""

from __future__ import annotations

import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from drills import harness  # noqa: E402


def test_every_order_ends_in_one_state(city) -> None:
    result = harness.run("orders", {"seeds": 40, "seed": 1}, lambda line: None)
    assert result["ok"], result["examples"]
    assert result["figures"]["sent"] > result["figures"]["records"] >= 40 * 3
