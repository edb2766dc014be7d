"""What statements of SQL over duties share: how one is run, how a value is written, when a fact was sealed."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
from django.db import connection

from bihuan.access import scope
from bihuan.ledger import seals

_NEVER_BY_ITSELF = 1_000_000_000  # executions after which the driver would prepare a statement unasked


def run(sql: str, parameters: Sequence | Mapping = ()) -> list[tuple]:
    """Run one statement; its rows, none where the statement returns nothing."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


def kept(sql: str, parameters: Mapping[str, Any]) -> tuple[list[str], list[tuple]]:
    """Run a statement with named parameters whose plan the connection keeps; names of its columns, and its rows.

    For what every answer and every page asks: to plan it costs more than to run it. Each parameter's type follows from
    where it stands, or is said there.
    """
    connection.ensure_connection()
    scope.tell(connection)  # the driver's own cursor does not come by Django's
    raw = connection.connection
    if raw.prepare_threshold is None:  # how Django opens it: nothing is ever prepared
        raw.prepare_threshold = _NEVER_BY_ITSELF
    statement, names = _numbered(sql)
    with connection.wrap_database_errors, psycopg.RawCursor(raw) as cursor:
        cursor.execute(statement, [literal(parameters[name]) for name in names], prepare=True)
        return [column.name for column in cursor.description], cursor.fetchall()


@functools.lru_cache(maxsize=500)
def _numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """The statement with numbered parameters, which the driver need not look for each time; their names."""
    names: dict[str, int] = {}

    def number(match: re.Match) -> str:
        return f"${names.setdefault(match[1], len(names) + 1)}"

    return re.sub(r"%\((\w+)\)s", number, sql).replace("%%", "%"), tuple(names)


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
