"""The same row again."""

from __future__ import annotations

import polars as pl

from bihuan.intake.check import check
from bihuan.intake.columns import map_columns
from bihuan.intake.fingerprint import dedupe, fingerprints, siphash
from bihuan.intake.read import read_file

KEY = bytes(range(16))


def test_reference_values_of_siphash():
    """From the paper (15 bytes) and the reference implementation's table (0 and 8 bytes)."""
    texts = [bytes(range(n)).decode() for n in (15, 0, 8)]
    assert [hex(v) for v in siphash(pl.Series(texts), KEY)] == ["0xa129ca6149be45e5", "0x726fdb47dd0e0e31", "0x93f5f5799a932462"]


def test_lengths_do_not_disturb_each_other():
    texts = ["x" * n for n in range(200)]
    together = siphash(pl.Series(texts), KEY)
    assert [int(v) for v in together] == [int(siphash(pl.Series([t]), KEY)[0]) for t in texts]
    assert len(set(together.tolist())) == 200


def marks(text: str, now, name="a.csv"):
    tables = read_file(text.encode(), name)
    frame = check(tables, map_columns(tables[0]), "data", now).frame
    return frame, fingerprints(frame, KEY)


def test_same_content_in_other_order_and_other_spelling_has_the_same_mark(now):
    frame, one = marks("姓名,手机号,到达时间\n王 梅,+86 138 1234 5678,2022.8.27\n李强,13912345678,8月27日\n王梅,13812345678,8月27日\n", now)
    _, other = marks("手机号,姓名,到达时间,备注\n13912345678,李强,2022-08-27,\n13812345678,王梅,8/27,\n", now)
    assert set(one.tolist()) == set(other.tolist())
    assert dedupe(frame, one)["row"].to_list() == [2, 3]


def test_one_changed_cell_changes_one_mark(now):
    _, one = marks("姓名,手机号\n王梅,13812345678\n李强,13912345678\n", now)
    _, other = marks("姓名,手机号\n王梅,13812345678\n李强,13912345679\n", now)
    assert (one != other).tolist() == [False, True]


def test_another_key_gives_other_marks(now):
    frame, one = marks("姓名,手机号\n王梅,13812345678\n", now)
    assert one[0] != fingerprints(frame, b"k" * 16)[0]
