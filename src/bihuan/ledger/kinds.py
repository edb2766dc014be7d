"""Kinds of facts: a name and a frozen dataclass of details, stored in the typed table of that name.

A module declares its kinds in `facts.py`, the one file that its siblings may import.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from datetime import date, datetime, timedelta
from enum import Enum
from uuid import UUID

_SQL_TYPES: dict[type, str] = {
    str: "text", int: "bigint", bool: "boolean", float: "double precision", datetime: "timestamptz", date: "date",
    UUID: "uuid", timedelta: "interval", bytes: "bytea",
}  # fmt: skip


# Columns that the engine adds to each row beside its details.
RESERVED = frozenset({
    "fact", "id", "act", "event", "subject", "region", "happened_at", "effective_at", "device", "device_seq", "purpose", "corrects",
    "combo", "loop_key", "root",
})  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Field:
    """A column of a fact's typed row."""

    name: str
    sql_type: str
    is_time: bool


@dataclasses.dataclass(frozen=True)
class FactKind:
    """One kind of fact.

    `name` is `module.past_participle`; the typed row stands in table `table` (by default the last part of the name),
    whose primary key `fact` is the fact's id and whose other columns are the fields of `details`. `key` names the
    field that tells which occurrence a duty is about (for leads the episode); None = the empty key.
    """

    name: str
    details: type
    key: str | None = None
    table: str = ""

    def __post_init__(self) -> None:
        if not dataclasses.is_dataclass(self.details):
            raise TypeError(f"{self.name}: details must be a dataclass")
        if not self.table:
            object.__setattr__(self, "table", self.name.split(".")[-1])
        object.__setattr__(self, "_fields", tuple(_field(self, f) for f in typing.get_type_hints(self.details).items()))
        clash = RESERVED & {f.name for f in self.fields}
        if clash:
            raise TypeError(f"{self.name}: {sorted(clash)} are columns of every fact; name the details otherwise")
        if self.key and self.key not in {f.name for f in self.fields}:
            raise TypeError(f"{self.name}: key {self.key} is not a field of its details")
        if _KINDS.setdefault(self.name, self) is not self:
            raise TypeError(f"fact kind {self.name} is declared twice")

    @property
    def fields(self) -> tuple[Field, ...]:
        return self._fields  # type: ignore[attr-defined]


_KINDS: dict[str, FactKind] = {}


def _field(kind: FactKind, item: tuple[str, typing.Any]) -> Field:
    name, hint = item
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(a for a in typing.get_args(hint) if a is not type(None))
    if isinstance(hint, type) and issubclass(hint, Enum):
        hint = str
    if typing.get_origin(hint) in (list, tuple):
        return Field(name, "text[]", False)
    if hint not in _SQL_TYPES:
        raise TypeError(f"{kind.name}.{name}: {hint} has no column type")
    return Field(name, _SQL_TYPES[hint], hint is datetime)


def kinds() -> dict[str, FactKind]:
    """All kinds declared so far, by name."""
    return _KINDS


def kind(name: str) -> FactKind:
    return _KINDS[name]
