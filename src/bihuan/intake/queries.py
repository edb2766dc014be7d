"""Files and their rows, as those who may see them read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction

from bihuan.access import scope
from bihuan.intake import actions, reasons
from bihuan.intake.models import IntakeFile
from bihuan.kernel.refused import Refused


def accounts(file: IntakeFile) -> dict[str, Any]:
    """The five counts, which add up to `rows`, and the counted reason of each refused row."""
    counts = {name: getattr(file, name) for name in ("created", "changed", "unchanged", "duplicate", "rejected")}
    order = {code: place for place, code in enumerate(reasons.ORDER)}
    listed = dict(sorted(file.reasons.items(), key=lambda item: order.get(item[0], len(order))))
    return {"rows": file.n_rows, **counts, "reasons": listed}


def originals() -> Iterator[tuple[IntakeFile, Refused | None]]:
    """Every kept original (the worker sees all), with the refusal of one whose bytes differ from their fingerprint; one at a time."""
    for id_ in IntakeFile.objects.order_by("id").values_list("id", flat=True):
        file = IntakeFile.objects.get(id=id_)
        try:
            actions.original(file)
            yield file, None
        except Refused as refused:
            yield file, refused


def rows(post, file: int) -> list[dict[str, Any]]:
    """Every row of a file in its order; `subject` is the person (cluster) at this time, null where refused."""
    with scope.acting(scope.of(post, read_only=True)), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT r.sheet, r.row, r.outcome, r.reason, coalesce(c.root, r.subject)::text
            FROM intake_row r LEFT JOIN cluster c ON c.subject = r.subject WHERE r.file = %s ORDER BY r.no
            """,
            (file,),
        )
        return [dict(zip(("sheet", "row", "outcome", "reason", "subject"), row, strict=True)) for row in cursor.fetchall()]


def refused_cells(post, file: int, most: int) -> list[tuple[str, str]]:
    """(cell, code) of the first refused rows of a file, all reasons of each, in the order of the file."""
    with scope.acting(scope.of(post, read_only=True)), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT said.cell, said.code FROM (
              SELECT no, cells, reasons FROM intake_row WHERE file = %s AND outcome = 'rejected' ORDER BY no LIMIT %s) r
            CROSS JOIN LATERAL unnest(r.cells, r.reasons) WITH ORDINALITY AS said(cell, code, place) ORDER BY r.no, said.place
            """,
            (file, most),
        )
        return cursor.fetchall()
