"""Which lists the city takes. Modules register theirs in `lists.py`; intake knows nothing of what they mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class ListKind:
    """A kind of list.

    `take(by=, event=, source=, file=, act=, rows=) -> DataFrame[no, outcome, subject]` does the module's work with
    checked rows (columns of `check.check` plus `no`), inside intake's action: one call is one transaction.
    `suits([(table, mapping)])` raises a refusal of a list that is plainly of another kind; not asked where somebody said what the
    columns of the file are.
    """

    name: str
    title: str
    sources: dict[str, str]
    take: Callable[..., pl.DataFrame]
    suits: Callable[..., None] | None = None


_KINDS: dict[str, ListKind] = {}


def register(kind: ListKind) -> None:
    _KINDS[kind.name] = kind


def kind(name: str) -> ListKind:
    return _KINDS[name]


def kinds() -> dict[str, ListKind]:
    return _KINDS
