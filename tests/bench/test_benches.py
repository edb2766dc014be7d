"""Each bench runs at a tiny size and reports what it promises. Nothing here looks at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from bench import harness, lists, made_up  # noqa: E402

SIZES = {"intake": 400, "lists": 300, "tick": 1000, "record": 300, "bulk": 200}


@pytest.mark.parametrize("name", SIZES)
def test_bench_reports_its_promises(city, acting, name, monkeypatch):
    monkeypatch.setattr(lists, "LOOKS", 3)
    said: list[str] = []
    with acting("work"):
        result = harness.measure(name, SIZES[name], 1, said.append)
    goals = tomllib.loads(harness.BUDGETS.read_text())[name]
    assert result["bench"] == name
    assert result["rounds"] == 1
    assert set(goals) <= set(result["ratios"])
    for goal in goals:
        ratio = result["ratios"][goal]
        assert set(ratio) == {"median", "min", "max", "goal", "goal_is", "ok"}
        assert ratio["ok"] is None  # too small to be judged
    assert all(result["checks"].values()), result["checks"]
    assert any("not judged" in line for line in said)
    json.dumps(result)


def test_a_missed_promise_is_not_ok(tmp_path):
    budgets = tmp_path / "budgets.toml"
    budgets.write_text('[x]\nslow = { at_most = 2.0, from = "" }\nfast = { at_least = 3.0, from = "" }\n')
    report = harness.Report("x")
    for above in (1, 3, 5):
        report.ratio("slow", above, 1)
        report.ratio("fast", above, 1)
    result = report.result(harness.Sizes(1, 3, True), budgets)
    assert (result["ratios"]["slow"]["ok"], result["ratios"]["fast"]["ok"], result["ok"]) == (False, True, False)
    report.must("nothing lost", True)
    report.must("nothing lost", False)
    assert not report.result(harness.Sizes(1, 3, False), budgets)["ok"]


def test_every_promise_says_where_it_is_from():
    for bench, goals in tomllib.loads(harness.BUDGETS.read_text()).items():
        assert bench in SIZES
        for goal in goals.values():
            assert len(goal["from"]) > 20
            assert ("at_most" in goal) != ("at_least" in goal)


def test_made_up_list_has_the_duplicates_and_bad_rows_that_it_claims():
    made = made_up.make(2000)
    assert len(made.lines) == 2000
    assert len(set(made.lines)) == made.distinct == 1500
    assert made.bad == 4
    assert sorted(made.shuffled(2).lines) == sorted(made.lines)


def test_command_runs_on_a_server_of_its_own_and_leaves_nothing():
    # Not pytest's folder: as root the server is another user, and another run of pytest closes the way to it.
    with tempfile.TemporaryDirectory(prefix="bihuan-bench-") as made:
        runs_on_a_server_of_its_own_and_leaves_nothing(Path(made))


def runs_on_a_server_of_its_own_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BIHUAN_")}
    environment |= {"PYTHONPATH": str(REPO / "src"), "BIHUAN_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "bihuan", "bench", "record", "--rows", "300", "--rounds", "1", "--json"],
        env=environment, cwd=REPO, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["bench"] == "record"
    assert [p for p in tmp_path.rglob("*") if p.name == "PG_VERSION"] == []
