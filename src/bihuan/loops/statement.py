"""What statements of SQL over duties share: how one is run, how a value is written, when a fact was sealed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection

from bihuan.ledger import seals


def run(sql: str, parameters: Sequence | Mapping = ()) -> list[tuple]:
    """Run one statement; its rows, none where the statement returns nothing."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


def sealed(seal, fact: str) -> tuple[str, dict[str, Any]]:
    """SQL condition with named parameters: the fact was closed by this seal or an earlier one. None: all facts."""
    if seal is None:
        return "true", {}
    condition, values = seals.sealed_by(seal, fact)
    for no in range(len(values)):
        condition = condition.replace("%s", f"%(seal{no})s", 1)
    return condition, {f"seal{no}": value for no, value in enumerate(values)}


def literal(value: Any) -> str | None:
    """A parameter as PostgreSQL reads it; the statement says its type.

    Were it left to the driver, the type would follow the value (a small integer, a null, an empty list), and each
    combination of types would be another statement, to be planned anew.
    """
    if value is None or type(value) is str:
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value.days} days {value.seconds}.{value.microseconds:06d} seconds"
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, list | tuple):
        return "{" + ",".join("NULL" if item is None else _quoted(literal(item)) for item in value) + "}"
    return str(value)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
