"""A list of persons as a data push sends it, made up: six columns, true check digits, duplicates and bad rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

HEAD = "姓名,证件号码,手机号,来源地,到达时间,推送批次\n"
DUPLICATES = 0.25
BAD = 0.002

_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_SIGNS = np.array(list("10X98765432"))
_SURNAMES, _GIVEN = list("王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"), list("伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉萍红鑫宇浩")
_ORIGINS = ["上海市", "北京市", "江苏省苏州市", "河南省郑州市", "广东省深圳市", "陕西省西安市", "河北省石家庄市", "四川省成都市"]
_AREAS = np.array(["320722", "320706", "310115", "410105", "610113"])
_DAYS = 25_000  # of birth, from 1940
_FROM = datetime(2022, 8, 26)  # noqa: DTZ001 - cells hold local times without a zone


@dataclass(frozen=True)
class MadeUp:
    """`distinct`: rows that say something new; `bad`: distinct rows that must be refused; lines in the order of the file."""

    lines: list[str]
    distinct: int
    bad: int

    def write(self, path: Path) -> int:
        """Write the file; returns its size in bytes."""
        path.write_text(HEAD + "\n".join(self.lines) + "\n", encoding="utf-8")
        return path.stat().st_size

    def shuffled(self, seed: int) -> MadeUp:
        """The same rows in another order."""
        order = np.random.default_rng(seed).permutation(len(self.lines))
        return MadeUp([self.lines[i] for i in order], self.distinct, self.bad)


def make(rows: int, seed: int = 1) -> MadeUp:
    """A quarter of the rows repeats another row; of the distinct ones 0.2 % are bad: wrong check digit, length, date, time."""
    rng = np.random.default_rng(seed)
    distinct = rows - int(rows * DUPLICATES)
    # Every person has an ID of his own: a walk over all combinations that meets none twice.
    places = _DAYS * len(_AREAS) * 1000
    walk = (np.arange(distinct, dtype=np.int64) * 40_503_001 + int(rng.integers(places))) % places
    born = (np.datetime64("1940-01-01") + walk % _DAYS).astype(str)
    area, number = _AREAS[walk // _DAYS % len(_AREAS)], walk // _DAYS // len(_AREAS)
    stems = [a + b.replace("-", "") + f"{n:03d}" for a, b, n in zip(area.tolist(), born.tolist(), number.tolist(), strict=True)]
    digits = np.frombuffer("".join(stems).encode(), dtype=np.uint8).reshape(-1, 17) - 48
    signs = _SIGNS[(digits * _WEIGHTS).sum(axis=1) % 11].tolist()
    phones = rng.integers(13_000_000_000, 19_999_999_999, distinct).tolist()
    surname, given = rng.integers(0, len(_SURNAMES), distinct).tolist(), rng.integers(0, len(_GIVEN), (distinct, 2)).tolist()
    origin, seconds = rng.integers(0, len(_ORIGINS), distinct).tolist(), rng.integers(0, 3 * 86_400, distinct).tolist()
    cells = [
        [_SURNAMES[s] + _GIVEN[g] + _GIVEN[h], stem + sign, str(phone), _ORIGINS[o], str(_FROM + timedelta(seconds=at)), "P0828"]
        for s, (g, h), stem, sign, phone, o, at in zip(surname, given, stems, signs, phones, origin, seconds, strict=True)
    ]
    bad = rng.choice(distinct, int(round(rows * BAD)), replace=False).tolist()
    for i, spoil in enumerate(bad):
        _spoil(cells[spoil], i % 4)
    lines = [",".join(row) for row in cells]
    # Good rows are the repeated ones: how many rows are refused is then known from how many were spoiled.
    good = np.setdiff1d(np.arange(distinct), bad)
    lines += [lines[i] for i in rng.choice(good, rows - distinct)]
    return MadeUp([lines[i] for i in rng.permutation(rows)], distinct, len(bad))


def _spoil(row: list[str], how: int) -> None:
    if how == 0:
        row[1] = row[1][:17] + ("0" if row[1][17] != "0" else "1")
    elif how == 1:
        row[1] = row[1][:16]
    elif how == 2:
        row[1] = row[1][:10] + "1345" + row[1][14:]
    else:
        row[4] = "上周"
