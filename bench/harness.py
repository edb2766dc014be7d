"""Rounds, ratios and promises: what every bench shares. A bench fills a `Report` and returns it."""

from __future__ import annotations

import gc
import statistics
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg

BUDGETS = Path(__file__).with_name("budgets.toml")


@dataclass(frozen=True)
class Sizes:
    """How large a run is. `full`: the size for which the promises hold; a smaller run prints its ratios and judges none."""

    rows: int
    rounds: int
    full: bool


@dataclass
class Report:
    """Seconds (or counts) by name and round, and ratios of two of them within each round."""

    bench: str
    say: Callable[[str], None] = lambda text: None
    samples: dict[str, list[float]] = field(default_factory=dict)
    ratios: dict[str, list[float]] = field(default_factory=dict)
    checks: dict[str, bool] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, value: float) -> float:
        """One round's value of a figure."""
        self.samples.setdefault(name, []).append(value)
        return value

    def ratio(self, name: str, above: float, below: float) -> float:
        """One round's ratio."""
        self.ratios.setdefault(name, []).append(above / below)
        return above / below

    def must(self, name: str, holds: bool) -> None:
        """Something that has to be true at any size (nothing changed, everything counted); false in one round is false."""
        self.checks[name] = self.checks.get(name, True) and holds

    @contextmanager
    def timed(self, name: str) -> Iterator[Callable[[], float]]:
        """Seconds of what is inside, added under `name`; without Python's own garbage rounds, which come when they like."""
        gc.collect()
        gc.disable()
        started, took = time.perf_counter(), 0.0
        try:
            yield lambda: took
        finally:
            took = self.add(name, time.perf_counter() - started)
            gc.enable()

    def result(self, sizes: Sizes, budgets: Path = BUDGETS) -> dict[str, Any]:
        """The result as printed with --json; `ok` of a ratio is None where it was not judged."""
        goals = tomllib.loads(budgets.read_text()).get(self.bench, {})
        ratios = {}
        for name, values in self.ratios.items():
            median = statistics.median(values)
            shown: dict[str, Any] = {"median": round(median, 3), "min": round(min(values), 3), "max": round(max(values), 3)}
            goal = goals.get(name)
            if goal is not None:
                bound = "at_most" if "at_most" in goal else "at_least"
                held = median <= goal[bound] if bound == "at_most" else median >= goal[bound]
                shown |= {"goal": goal[bound], "goal_is": bound, "ok": held if sizes.full else None}
            ratios[name] = shown
        figures = {name: round(statistics.median(values), 6) for name, values in self.samples.items()} | self.notes
        ok = all(self.checks.values()) and all(shown.get("ok") is not False for shown in ratios.values())
        return {
            "ok": ok, "bench": self.bench, "rounds": sizes.rounds, "rows": sizes.rows, "judged": sizes.full,
            "figures": figures, "ratios": ratios, "checks": self.checks,
        }  # fmt: skip


def measure(name: str, rows: int | None, rounds: int | None, say: Callable[[str], None]) -> dict[str, Any]:
    """Run a bench in the database to which Django is connected (the demonstration's city, nobody in it); print its table."""
    module = import_module(f"bench.{name}")
    sizes = Sizes(rows or module.ROWS, rounds or module.ROUNDS, full=(rows or module.ROWS) >= module.ROWS)
    report = Report(name, say)
    module.run(report, sizes)
    result = report.result(sizes)
    for line in table(result):
        say(line)
    return result


def table(result: dict[str, Any]) -> list[str]:
    """The result as lines for people."""
    lines = [f"bench {result['bench']}: {result['rows']:,} rows, {result['rounds']} rounds, medians", ""]
    for name, value in result["figures"].items():
        shown = f"{value:>16,.6g}" if isinstance(value, float) else f"{value:>16,}" if isinstance(value, int) else f"  {value}"
        lines.append(f"  {name:<44}{shown}")
    lines.append("")
    for name, ratio in result["ratios"].items():
        line = f"  {name:<44}{ratio['median']:>10.3f}   ({ratio['min']:.3f} to {ratio['max']:.3f})"
        if "goal" in ratio:
            sign = "<=" if ratio["goal_is"] == "at_most" else ">="
            held = {True: "held", False: "MISSED", None: "not judged at this size"}[ratio["ok"]]
            line += f"   goal {sign} {ratio['goal']}: {held}"
        lines.append(line)
    lines += [f"  {name:<44}{'yes' if holds else 'NO':>10}" for name, holds in result["checks"].items()]
    return lines


def quiet(database: psycopg.Connection) -> None:
    """Before a measured part: what the last one left to be written is written, so that the next does not pay for it."""
    database.execute("CHECKPOINT")
