"""Each hard sheet gives exactly its account: rows, refused by reason, what the accepted rows say; or the code of its refusal."""

from __future__ import annotations

from datetime import date

import pytest

from bihuan.intake.check import check
from bihuan.intake.columns import map_tables
from bihuan.intake.read import read_file
from bihuan.kernel.clock import SHANGHAI
from bihuan.kernel.refused import Refused
from tests.sheets import manifests, relays, texts, workbooks  # noqa: F401 - they fill the corpus
from tests.sheets.make import Sheet, corpus

CORPUS = corpus()


def test_the_corpus_is_large_and_its_names_differ():
    assert len({one.name for one in CORPUS}) == len(CORPUS) >= 100


def said_by(row: dict) -> dict[str, object]:
    day: date | None = row["arrived_at"].astimezone(SHANGHAI).date() if row["arrived_at"] else None
    return {**{f: row[f] for f in ("name", "doc", "phone", "origin", "address")}, "day": day}


def read(one: Sheet, now):
    mapped = map_tables(read_file(one.data, one.name))
    return check([table for table, _ in mapped], [mapping for _, mapping in mapped], one.source, now)


@pytest.mark.parametrize("one", [one for one in CORPUS if one.refused], ids=lambda one: one.name)
def test_refused(one, now):
    with pytest.raises(Refused) as caught:
        read(one, now)
    assert caught.value.code == one.refused
    assert caught.value.zh
    assert caught.value.en


@pytest.mark.parametrize("one", [one for one in CORPUS if not one.refused], ids=lambda one: one.name)
def test_accounts(one, now):
    checked = read(one, now)
    assert checked.reason_counts() == one.rejected
    told = [said_by(row) for row in checked.accepted.iter_rows(named=True)]
    assert [{f: row[f] for f in wanted} for row, wanted in zip(told, one.people, strict=False)] == one.people
    assert len(told) == len(one.people)
    assert checked.frame.height == one.rows
    lines = checked.frame.select("sheet", "row")
    assert lines.unique().height == lines.height, "a line is counted twice"
