"""What statements of SQL over duties share: how one is run, and the condition that a fact was sealed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
