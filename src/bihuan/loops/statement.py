"""One statement of SQL, run with its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import connection


def run(sql: str, parameters: Sequence | Mapping = ()) -> list[tuple]:
    """Its rows; none where the statement returns nothing."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []
