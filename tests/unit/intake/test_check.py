"""Rows checked: each line accounted for, each reason with its cell."""

# ruff: noqa: DTZ001 - cells hold local times without a zone
from __future__ import annotations

from datetime import datetime

import pytest
from tests.lists.generate import generate, load_divisions

from bihuan.intake.check import check
from bihuan.intake.columns import map_columns
from bihuan.intake.read import read_file
from bihuan.intake.reasons import ORDER, SENTENCES, sentence
from bihuan.kernel.clock import SHANGHAI

from .conftest import DATA

HEAD = ["序号", "姓名", "身份证号", "手机", "到达时间", "现住址", "备注"]
GOOD = "320722196608102143"


@pytest.fixture
def checked(xlsx, now, resolver):
    def run(rows, sheets=None, **options):
        data = xlsx(sheets or {"名单": [HEAD, *rows]}, **options)
        tables = read_file(data, "a.xlsx")
        return check(tables, [map_columns(t) for t in tables], "unit", now, resolver)

    return run


def test_all_reasons_of_a_row_and_the_first_counted(checked):
    found = checked(
        [
            [1, "王", 320722196608102143, "123", "近日", "", ""],
            [2, "李", GOOD[:17], "13812345678", "8月27日", "", ""],
            [3, "赵", "", "", "", "海州区", ""],
        ]
    )
    assert found.frame["reason"].to_list() == ["id_numeric_cell", "id_length", "no_identity"]
    assert found.frame["reasons"][0].to_list() == ["id_numeric_cell", "date_unreadable", "phone_bad"]
    assert found.frame["cells"][0].to_list() == ["C2", "E2", "D2"]
    assert found.reason_counts() == {"id_numeric_cell": 1, "id_length": 1, "no_identity": 1}
    assert ("名单", 3, "id_length", "C3", "身份证号应为18位，现为17位") in found.sentences()
    assert all(s[4] for s in found.sentences("en"))


def test_blank_title_footer_and_repeated_head_are_no_rows(checked):
    rows = [
        [1, "王", GOOD, "13812345678", "8月27日", "", ""],
        [],
        HEAD,
        [2, None, None, None, None, None, None],
        ["合计：", None, None, 2],
        ["填表人：张三  审核人："],
        ["注：请于每日8点前上报"],
        [None, "李", "", "", "", "", ""],
    ]
    found = checked(rows)
    assert found.frame["row"].to_list() == [2, 9]
    assert [(row, why) for _, row, why in found.left_out] == [(4, "head_again"), (6, "footer"), (7, "footer"), (8, "footer")]
    assert found.frame["reason"].to_list() == [None, "no_identity"]


def test_warnings_do_not_refuse(checked):
    found = checked([[1, "=HYPERLINK(1)", GOOD, "0518-85801234", "8月27日", "@返乡", "=1+1"]], hidden=[2])
    assert found.frame["reason"].to_list() == [None]
    assert found.frame["warnings"][0].to_list() == ["formula_text", "hidden_row", "phone_landline"]
    assert found.frame["remark"].to_list() == ["=1+1"]


def test_missing_document_time_and_address_are_allowed(checked):
    found = checked([[1, "王", "", "13812345678", "", "", ""], [2, "李", GOOD, "", "无", "", ""]])
    assert found.rejected.height == 0
    assert found.frame["arrived_at"].to_list() == [None, None]


def test_sheet_of_a_county_gives_its_district_and_its_name_to_cells(checked):
    found = checked(None, sheets={"赣榆区": [HEAD, [1, "王", "x", "13812345678"]], "东海县": [HEAD, [1, "王", "", "13812345678"]]})
    assert found.frame["district_code"].to_list() == [320707000000, 320722000000]
    assert found.frame["cells"][0].to_list() == ["赣榆区!C2"]


def test_times_are_utc_with_their_precision(checked):
    found = checked([[1, "王", GOOD, "", "2022/8/27 17:35", "", ""], [2, "王", GOOD, "", datetime(2022, 8, 27), "", ""]])
    assert found.frame["arrived_precision"].to_list() == ["minute", "day"]
    assert [t.astimezone(SHANGHAI).strftime("%d %H:%M") for t in found.frame["arrived_at"]] == ["27 17:35", "27 00:00"]


def test_every_code_has_a_sentence_in_both_languages():
    for code in ORDER:
        assert sentence(code)
        assert sentence(code, "en")
    assert sentence("id_length", length=15) == SENTENCES["id_length_15"].zh


@pytest.mark.parametrize("seed", range(6))
def test_lists_never_seen_before(seed, now, resolver):
    """Every line of made-up lists: rows, reasons, values, villages as their truth says."""
    files, truth = generate(seed, 250, load_divisions(DATA / "divisions_2023.csv"))
    people = {p["person"]: p for p in truth["people"]}
    for name, data in files.items():
        said = truth["files"][name]
        tables = read_file(data, name)
        found = check(tables, [map_columns(t) for t in tables], said["source"], now, resolver)
        several = any("sheet" in r for r in said["rows"])
        wanted = {(r.get("sheet", ""), r["row"]): r for r in said["rows"]}
        got = {(s if several else "", r): reason for s, r, reason in found.frame.select("sheet", "row", "reason").iter_rows()}
        assert got == {k: r["reject"] for k, r in wanted.items()}, name
        regions = resolver.resolve_all(found.frame["address"])
        for row, region in zip(found.frame.iter_rows(named=True), regions, strict=True):
            one = wanted[row["sheet"] if several else "", row["row"]]
            if row["reason"] or not isinstance(one["person"], int):
                continue
            person = people[one["person"]]
            assert row["name"] in (None, person["name"])
            assert row["phone"] in (None, person["phone"])
            assert row["doc"] in (None, person["id"]) or one.get("either")
            assert region is None or region == int(person["village"]), row["address"]
            local = row["arrived_at"].astimezone(SHANGHAI).replace(tzinfo=None).isoformat()
            assert (
                local[: 10 if row["arrived_precision"] == "day" else 19]
                == person["arrived_at"][: 10 if row["arrived_precision"] == "day" else 19]
            )


def test_generator_is_repeatable():
    divisions = load_divisions(DATA / "divisions_2023.csv")
    assert generate(7, 60, divisions) == generate(7, 60, divisions)


SENT_BY = ["填表人：", "张三", "", "13905130000", "", "", ""]


def test_who_filled_the_form_in_and_its_example_are_no_rows(checked):
    found = checked(
        [
            ["例", "张三", "110101199001011237", "13800138000", "2022/8/1", "××街道", ""],
            [1, "王", GOOD, "13812345678", "8月27日", "", "注意：独居"],
            [2, "李", "", "", "8月27日", "海州区", "负责人未签字"],
            [None, None, None, "2022年8月28日"],
            ["2022.8.28"],
            SENT_BY,
        ]
    )
    assert found.frame["row"].to_list() == [3, 4]
    assert found.frame["reason"].to_list() == [None, "no_identity"], "a person with a remark that reads like a foot is still a row"
    assert found.left_out == [("名单", 2, "example"), ("名单", 5, "footer"), ("名单", 6, "footer"), ("名单", 7, "footer")]


def test_who_sends_a_list_above_its_head_is_not_its_first_person(xlsx):
    sender = ["填报单位：", "某公司", "联系电话：", "13905130000"]
    table = read_file(xlsx({"名单": [sender, HEAD, [1, "王", GOOD, "13812345678"]]}), "a.xlsx")[0]
    assert table.header_row == 2
    assert map_columns(table).fields["phone"] == 3


def test_the_second_line_of_a_head_is_no_row(checked):
    head = ["序号", "姓名", "身份证号", "联系方式", "", "来源地"]
    rows = [["", "", "", "手机", "座机", ""], [1, "王", GOOD, "13812345678", "0518-85801234", "上海"], [2, "李强", "", "", "", "某公司"]]
    found = checked([], sheets={"名单": [head, *rows]})
    assert found.left_out == [("名单", 2, "head_again")]
    assert found.frame.select("row", "reason").rows() == [(3, None), (4, "no_identity")]
