"""A morning's four lists of people who do not exist, from the generator that the tests use."""

from __future__ import annotations

import sys
from importlib import import_module

from bihuan.kernel.refused import Refused
from bihuan.site.home import REPO

DIVISIONS = REPO / "data" / "divisions_2023.csv"
CITY = 3207
# The lists crowd where the demonstration's village and township logins work, so that these find something to do.
CROWDED = (320703005,)  # 板桥街道
ELSEWHERE_EVERY = 120  # of the city's other villages each so-manieth
SENT_BY = {
    "data_push.csv": "data", "unit_report.xlsx": "unit", "community_sweep.xlsx": "community", "telecom_reminder.csv": "telecom",
}  # fmt: skip


def make(seed: int, people: int) -> dict[str, bytes]:
    """The four files by name, from the generator that the tests use."""
    if not (REPO / "tests" / "lists" / "generate.py").exists():
        raise Refused("generator_missing", "这份安装没有带测试文件，不能生成名单。", "The generator of lists is not here.")
    if str(REPO) not in sys.path:
        sys.path.insert(0, str(REPO))
    generate = import_module("tests.lists.generate")
    divisions = generate.load_divisions(DIVISIONS, CITY)
    places = [row for row in divisions if row[1] < 5]
    crowded = [row for row in divisions if row[1] == 5 and row[0] // 1000 in CROWDED]
    others = [row for row in divisions if row[1] == 5 and row[0] // 1000 not in CROWDED]
    files, _ = generate.generate(seed, people, [*places, *crowded, *others[::ELSEWHERE_EVERY]])
    return files
