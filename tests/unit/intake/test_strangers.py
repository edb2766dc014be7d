"""Lists of senders whose forms the product has never seen: every column found, every row accounted for, every value read."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache

import pytest
from tests.lists.generate import load_divisions
from tests.lists.strangers import SHORT, strangers

from bihuan.intake.addresses import Resolver
from bihuan.intake.check import check
from bihuan.intake.columns import header_key, map_tables
from bihuan.intake.read import read_file
from bihuan.kernel.clock import SHANGHAI
from bihuan.kernel.text import name_key

from .conftest import DATA, rows_of_divisions

FIELD = {"number": "phone", "entered": "arrived_at", "left": "origin", "stays": "district"}


@pytest.fixture(scope="module")
def resolver_for(divisions):
    return lru_cache(lambda city: Resolver(rows_of_divisions(divisions), home=city * 10**8))


@pytest.mark.parametrize("seed", range(60, 72))
def test_lists_of_strangers(seed, now, resolver_for):
    city = list(SHORT)[seed % len(SHORT)]
    files, truth = strangers(seed, 60, load_divisions(DATA / "divisions_2023.csv", city))
    people = {p["person"]: p for p in truth["people"]}
    holders = {f"phone-{p['phone']}": p["person"] for p in truth["people"]}
    for name, data in files.items():
        told = truth["files"][name]
        mapped = map_tables(read_file(data, name))
        for table, mapping in mapped:
            found = {field: next(c.header for c in table.columns if c.index == i) for field, i in mapping.fields.items()}
            for field, head in told["heads"].items():
                if field not in ("town", "village", "door", "workplace", "remark"):
                    assert header_key(head) in header_key(found[FIELD.get(field, field)]), (seed, name, field, found)
        checked = check([t for t, _ in mapped], [m for _, m in mapped], told["source"], now, resolver_for(city))
        assert checked.reason_counts() == truth["rejected_expected"][name], (seed, name)
        lines = {(row["sheet"], row["row"]): row for row in checked.frame.iter_rows(named=True)}
        assert len(lines) == len(told["rows"]), (seed, name, checked.left_out)
        for row in told["rows"]:
            read = lines[row.get("sheet", mapped[0][0].sheet), row["row"]]
            assert read["reason"] == row["reject"], (seed, name, row)
            if row["reject"] is None:
                number = holders.get(row["person"], row["person"])
                _same(read, people[number], truth["arrived"][number], shared=isinstance(row["person"], str))
                assert _region(read, resolver_for(city)) == row["desk"], (seed, name, row, read["address"])


def _same(read: dict, person: dict, arrived, *, shared: bool) -> None:
    assert read["phone"] == person["phone"]
    assert shared or read["doc"] in (None, person["id"])
    assert shared or read["name"] is None or name_key(read["name"]) == name_key(person["name"])
    local = read["arrived_at"].astimezone(SHANGHAI).replace(tzinfo=None)
    if shared:
        return  # one of several holders: the row does not say which
    if read["arrived_precision"] == "day":
        assert local.date() == arrived.date()
    else:
        assert abs(local - arrived) <= timedelta(minutes=1)
    assert read["origin_code"] is not None


def _region(read: dict, resolver: Resolver) -> int | None:
    found = resolver.resolve(read["address"], read["district_code"])
    return found.region if found and found.level > 2 else read["district_code"]
