"""What drills share: what was tried, promised and found in the end; figures; and the result as printed.

A drill is a file of this folder with a docstring, `OPTIONS` (name -> (default, help)) and `run(drill)`. It begins with the
demonstration's city on a server of its own, which is as careful with the disk as a real one, and is gone afterwards.
"""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SHARED = ("harness", "house", "writer")  # files that are no drills


def names() -> list[str]:
    """The drills, by the names of their files."""
    return sorted(f.stem for f in HERE.glob("*.py") if f.stem not in SHARED and not f.stem.startswith("_"))


@dataclass
class Drill:
    """One run: its options, and what came of it. `checks`: what has to be true; one that is false fails the drill."""

    name: str
    options: dict[str, int]
    say: Callable[[str], None] = lambda text: None
    figures: dict[str, Any] = field(default_factory=dict)
    checks: dict[str, bool] = field(default_factory=dict)
    examples: dict[str, list[Any]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def __getattr__(self, name: str) -> int:
        try:
            return self.__dict__["options"][name]
        except KeyError:
            raise AttributeError(name) from None

    def must(self, name: str, wrong: Iterable[Any] | bool) -> None:
        """Something that has to hold: nothing stands in `wrong` (or it is True). What stands there is shown, the first ten."""
        if isinstance(wrong, bool):
            self.checks[name] = self.checks.get(name, True) and wrong
            return
        found = list(wrong)
        self.checks[name] = self.checks.get(name, True) and not found
        if found:
            self.examples.setdefault(name, []).extend(found[: 10 - len(self.examples.get(name, []))])

    def result(self) -> dict[str, Any]:
        """As printed with --json. The seed and the commit give the same run again."""
        return {
            "ok": bool(self.checks) and all(self.checks.values()), "drill": self.name, "commit": commit(), "options": self.options,
            "seconds": round(time.monotonic() - self.began, 1), "figures": self.figures, "checks": self.checks,
            "examples": self.examples,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The result for people."""
        shown = [f"drill {self.name} {self.options}, commit {commit()}", ""]
        for name, value in self.figures.items():
            text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else f"{value}"
            shown.append(f"  {name:<44}{text}")
        shown.append("")
        shown += [f"  {name:<60}{'yes' if holds else 'NO'}" for name, holds in self.checks.items()]
        shown += [f"    {name}: {example}" for name, found in self.examples.items() for example in found]
        return shown


def commit() -> str:
    """The version that was drilled; `-changed` when files differ from it."""
    said = subprocess.run(["git", "describe", "--always", "--dirty=-changed"], cwd=HERE, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def spread(values: Iterable[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum of seconds; empty when there are none."""
    found = sorted(values)
    if not found:
        return {}
    at = min(len(found) - 1, int(len(found) * 0.99))
    return {"n": len(found), "median": round(statistics.median(found), 3), "p99": round(found[at], 3), "max": round(found[-1], 3)}


class Promises:
    """Every write as a set test sees it: tried, promised (its answer said "saved"), found in the end.

    lost: promised and not there. unexpected: there and never tried. recovered: there, though the answer never came.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.attempted: set[str] = set()
        self.acknowledged: set[str] = set()
        self.n_retries = 0
        self.acks = 0  # grows with each promise: somebody waits for the next one

    def trying(self, id: str) -> None:
        with self._lock:
            self.n_retries += id in self.attempted
            self.attempted.add(id)

    def promised(self, id: str) -> None:
        with self._lock:
            self.acknowledged.add(id)
            self.acks += 1

    def against(self, found: Iterable[str]) -> dict[str, set[str]]:
        there = set(found)
        return {
            "lost": self.acknowledged - there,
            "unexpected": there - self.attempted,
            "recovered": (there & self.attempted) - self.acknowledged,
        }


def run(name: str, options: dict[str, int], say: Callable[[str], None]) -> dict[str, Any]:
    """Run a drill in the database to which Django is connected; print what it found."""
    drill = Drill(name, options, say)
    import_module(f"drills.{name}").run(drill)
    for line in drill.lines():
        say(line)
    return drill.result()
