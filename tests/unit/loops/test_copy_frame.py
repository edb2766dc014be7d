"""Whatever senders write arrives in the database as they wrote it."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import psycopg
from django.db import connection, transaction

from bihuan.loops.copy_frame import copy_frame

ODD = ["", "\\N", "\\", "a\\tb", "制表\t符", "换\n行", "回\r车", '引"号', "逗,号", "'", "\\.", " ", "𠮷", None]


def test_texts_lists_times_and_nulls_come_back_as_they_went(db):
    lists = [[text] if text is not None else [] for text in ODD[:-1]] + [None]
    times = [datetime(2022, 8, 28, 0, 0, 0, 123456, tzinfo=UTC)] * (len(ODD) - 1) + [None]
    frame = pl.DataFrame(
        {
            "no": range(len(ODD)),
            "said": ODD,
            "cells": lists,
            "at": times,
            "yes": [True, None] * (len(ODD) // 2),
            "raw": [None if text is None else text.encode() for text in ODD],
        },
        schema_overrides={"at": pl.Datetime("us", "UTC"), "cells": pl.List(pl.String)},
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE went (no int, said text, cells text[], at timestamptz, yes boolean, raw bytea) ON COMMIT DROP"
        )
        copy_frame(psycopg.Cursor(connection.connection), "pg_temp.went", frame)
        copy_frame(psycopg.Cursor(connection.connection), "pg_temp.went", frame.clear())
        cursor.execute("SELECT said, cells, at, yes, raw FROM went ORDER BY no")
        assert cursor.fetchall() == list(frame.select("said", "cells", "at", "yes", "raw").iter_rows())


def test_a_column_of_empty_texts_alone_keeps_its_rows(db):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE went (said text) ON COMMIT DROP")
        copy_frame(psycopg.Cursor(connection.connection), "pg_temp.went", pl.DataFrame({"said": ["", None, ""]}))
        cursor.execute("SELECT count(*), count(said) FROM went")
        assert cursor.fetchone() == (3, 2)
