"""Four lists come in: everybody is found once, in whatever order, and belongs to one desk."""

from __future__ import annotations

import random

import pytest
from tests.conftest import REPO
from tests.lists.generate import generate, load_divisions
from tests.lists.strangers import strangers
from tests.morning import linkage, state, take_in

SOURCES = {"data_push.csv": "data", "unit_report.xlsx": "unit", "community_sweep.xlsx": "community", "telecom_reminder.csv": "telecom"}


def lists(seed: int, people: int):
    return generate(seed, people, load_divisions(REPO / "data" / "divisions_2023.csv"))


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_persons_of_lists_never_seen_before(seed, city):
    files, truth = lists(seed, 400)
    names = random.Random(seed).sample(list(files), 4)
    for name in names:
        _, accounts, _ = take_in(name, files[name], SOURCES[name])
        assert accounts["reasons"] == truth["rejected_expected"][name]
    rows = {}
    for name in names:  # the same files again: nothing changes, and the rows show the persons as they are linked now
        _, accounts, rows[name] = take_in(name, files[name], SOURCES[name])
        assert accounts["created"] == accounts["changed"] == 0
    precision, recall, wrong = linkage(rows, truth)
    assert wrong == []
    assert precision >= 0.99
    assert recall >= 0.98


def test_persons_of_lists_whose_forms_nobody_knows(city, as_role):
    """Other words, other shapes (see `strangers`): the same promises, in an order of their own, and nobody without a desk."""
    files, truth = strangers(81, 150, load_divisions(REPO / "data" / "divisions_2023.csv"))
    for name in reversed(list(files)):
        _, accounts, _ = take_in(name, files[name], truth["files"][name]["source"])
        assert accounts["reasons"] == truth["rejected_expected"][name]
    rows = {}
    for name in files:
        _, accounts, rows[name] = take_in(name, files[name], truth["files"][name]["source"])
        assert accounts["created"] == accounts["changed"] == 0
    precision, recall, wrong = linkage(rows, truth)
    assert wrong == []
    assert precision >= 0.99
    assert recall >= 0.98
    with as_role("superuser") as database:
        desks = dict(
            database.execute(
                "SELECT c.root::text, r.division_code FROM loop l JOIN cluster c ON c.subject = l.subject JOIN unit u ON u.id = l.owner"
                " JOIN region r ON r.id = u.region_id WHERE l.kind = 'leads.verify' AND l.closed_at IS NULL"
            ).fetchall()
        )
        roots = dict(database.execute("SELECT subject::text, root::text FROM cluster").fetchall())
    told: dict[str, set[int]] = {}
    for name, one in truth["files"].items():
        by_line = {(row["sheet"] if "sheet" in one["rows"][0] else None, row["row"]): row for row in rows[name]}
        for row in one["rows"]:
            if row["reject"] is None:
                told.setdefault(roots[by_line[row.get("sheet"), row["row"]]["subject"]], set()).add(row["desk"] or 0)
    assert set(told) == set(desks) == set(roots.values())
    deepest = {root: {code for code in codes if _depth(code) == max(map(_depth, codes))} for root, codes in told.items()}
    wrong_desks = {root: (desks[root], codes) for root, codes in deepest.items() if any(codes) and desks[root] not in codes}
    assert wrong_desks == {}


def _depth(code: int) -> int:
    """3 for a village's or township's division, 2 for a county's, 0 for none."""
    return 0 if not code else 2 if code % 10**6 == 0 else 3


ROLL = "门牌,户主,姓名,与户主关系,身份证,手机\n7组44号,沈玲海,沈玲海,户主,11010519491231002X,13908454882\n".encode()
RISK_AREAS = "全国疫情高中风险区（截至2022年8月27日8时）\n高风险区：\n1.上海市东区新华街道幸福小区\n".encode()


@pytest.mark.parametrize(
    ("name", "data", "code", "says"),
    [
        ("台账.csv", ROLL, "list_of_households", "人房台账"),
        ("风险区.txt", RISK_AREAS, "columns_unknown", "风险区公告"),
    ],
)
def test_a_list_of_another_kind_sent_by_mistake_is_kept_and_takes_nobody_in(name, data, code, says, city, as_role):
    from bihuan.access import queries as access
    from bihuan.intake import actions
    from bihuan.kernel import ids

    post = access.post_of("console")
    stored = actions.store(by=post, event=1, kind="leads", source="community", name=name, data=data, act=ids.new_id())
    file = actions.process(stored.file, by=post)
    assert (file.state, file.refusal["code"]) == ("refused", code)
    assert says in file.refusal["zh"]
    assert actions.original(file) == data
    with as_role("superuser") as db:
        assert db.execute("SELECT count(*) FROM fact").fetchone() == (0,)


def test_every_order_ends_the_same(city_template, as_role):
    """All 24 orders; orders that begin alike share what they have in common, as a tree of databases."""
    from tests.conftest import database_from

    from bihuan.policy import installation

    files, _ = lists(21, 60)
    ends: dict[tuple[str, ...], dict[str, list]] = {}

    def go_on(database: str, so_far: tuple[str, ...]) -> None:
        if len(so_far) == len(files):
            with as_role("superuser") as server:
                ends[so_far] = state(server)
        for name in files:
            if name not in so_far:
                with database_from(database) as here:
                    installation.forget()
                    take_in(name, files[name], SOURCES[name])
                    go_on(here, (*so_far, name))

    go_on(city_template, ())
    assert len(ends) == 24
    first = next(iter(ends.values()))
    assert len(first["duties"]) > 50
    different = {order: part for order, end in ends.items() for part in first if end[part] != first[part]}
    assert different == {}


def test_each_lead_lies_at_the_most_exact_desk_that_its_reports_tell(city, as_role):
    files, truth = lists(31, 200)
    rows = {name: take_in(name, files[name], SOURCES[name])[2] for name in files}
    village_of = {p["person"]: int(p["village"]) for p in truth["people"]}
    with as_role("superuser") as database:
        division_of = dict(
            database.execute(
                "SELECT coalesce(c.root, l.subject)::text, r.division_code FROM loop l JOIN unit u ON u.id = l.owner JOIN region r ON r.id = u.region_id"  # noqa: E501
                " LEFT JOIN cluster c ON c.subject = l.subject WHERE l.kind = 'leads.verify' AND l.closed_at IS NULL"
            ).fetchall()
        )
        root_of = dict(database.execute("SELECT subject::text, root::text FROM cluster").fetchall())
    checked = 0
    for name in ("unit_report.xlsx", "community_sweep.xlsx"):
        sheets = {row["sheet"] for row in rows[name]}
        by_line = {(row["sheet"], row["row"]): row for row in rows[name]}
        for row in truth["files"][name]["rows"]:
            if row["reject"] is None and row["person"] in village_of:
                got = by_line[row.get("sheet", next(iter(sheets)) if len(sheets) == 1 else None), row["row"]]
                assert division_of[root_of[got["subject"]]] == village_of[row["person"]], row
                checked += 1
    assert checked > 100
    assert set(division_of) == set(root_of.values()), "a person without a duty, or a duty without a person"


HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址,备注"
PLACE = "连云港市灌云县杨集镇镇东村委会"
GOOD = ["王小梅,11010519491231002X,13800000001,上海市,2022-08-27 10:00,{p}1号楼,", "李强,,13800000002,北京市,8月27日,{p}2号楼,"]
BAD = ["赵远,110105194912310021,13800000003,上海市,2022-08-27 10:00,{p}3号楼,=1+1", "陈新,,13800000004,上海市,不详的日子,{p}4号楼,"]


def sheet(*rows: str) -> bytes:
    return "\n".join([HEAD, *(row.format(p=PLACE) for row in rows), "填表人："]).encode()


def test_the_same_file_re_sorted_or_with_one_row_corrected(city, as_role):
    _, first, rows = take_in("a.csv", sheet(*GOOD, *BAD), "unit")
    assert (first["created"], first["rejected"]) == (2, 2)
    assert [(row["outcome"], row["reason"]) for row in rows] == [
        ("created", ""), ("created", ""), ("rejected", "id_checksum"), ("rejected", "date_unreadable"),
    ]  # fmt: skip
    with as_role("superuser") as db:
        before, n_facts = state(db), db.execute("SELECT count(*) FROM fact").fetchone()
    _, again, _ = take_in("a2.csv", sheet(*BAD, *reversed(GOOD)), "unit")
    assert (again["created"], again["changed"], again["unchanged"], again["rejected"]) == (0, 0, 2, 2)
    with as_role("superuser") as db:
        assert state(db) == before
        assert db.execute("SELECT count(*) FROM fact").fetchone() == n_facts
    corrected = BAD[0].replace("110105194912310021", "110105194912310038")
    _, third, rows = take_in("a3.csv", sheet(*GOOD, corrected, BAD[1]), "unit")
    assert (third["created"], third["changed"], third["unchanged"], third["rejected"]) == (1, 0, 2, 1), rows


def test_accounts_of_one_person_twice_in_a_file_and_of_more_said_of_a_known_one(city):
    twice = GOOD[1].replace("8月27日", "2022.8.27")
    _, accounts, _ = take_in("a.csv", sheet(*GOOD, twice), "unit")
    assert (accounts["created"], accounts["duplicate"]) == (2, 1)
    _, accounts, _ = take_in("b.csv", sheet(GOOD[0]), "community")
    assert accounts["changed"] == 1, "another source says the same: a new report on a known lead"


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.csv", b"", "file_empty"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "file_xls"),
        ("a.xlsx", b"PK\x03\x04broken", "file_truncated"),
        ("a.pdf", b"%PDF-1.7", "file_type"),
        ("a.csv", "颜色,大小\n红,大\n".encode(), "columns_unknown"),
    ],
)
def test_a_file_that_cannot_be_read_ends_in_a_sentence_and_creates_nothing(name, data, code, city, as_role):
    from bihuan.kernel.refused import Refused

    with pytest.raises(Refused) as refused:
        take_in(name, data, "unit")
    assert refused.value.code == code
    assert refused.value.zh
    assert refused.value.en
    with as_role("superuser") as db:
        assert db.execute("SELECT count(*) FROM fact").fetchone() == (0,)


def test_two_processes_on_one_file_commit_each_batch_once(city, as_role, monkeypatch):
    """The worker takes a file that a command is still reading: each row is committed once, both see the accounts."""
    from threading import Thread

    from bihuan.access import queries as access
    from bihuan.intake import actions
    from bihuan.kernel import ids

    monkeypatch.setattr(actions, "BATCH_ROWS", 5)
    rows = [f"人{n},,139{n:08d},上海市,2022-08-27 10:00,{PLACE}," for n in range(40)]
    post = access.post_of("console")
    stored = actions.store(by=post, event=1, kind="leads", source="unit", name="a.csv", data=sheet(*rows), act=ids.new_id(), claim=True)
    ends = []

    def run() -> None:
        from django.db import connection

        try:
            ends.append(actions.process(stored.file, by=post))
        finally:
            connection.close()

    threads = [Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [(file.state, file.created) for file in ends] == [("done", 40)] * 3
    with as_role("superuser") as db:
        assert db.execute("SELECT count(*), count(DISTINCT no) FROM intake_row").fetchone() == (40, 40)
        assert db.execute("SELECT count(*) FROM loop").fetchone() == (40,)
