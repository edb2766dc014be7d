"""What senders write into cells."""

# ruff: noqa: DTZ001, RUF001 - local times without a zone; signs that only look alike are the point

from __future__ import annotations

from datetime import date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bihuan.intake.read import NUMBER, TEXT
from bihuan.intake.values import cleaned, documents, names, phones, times
from bihuan.kernel.clock import SHANGHAI

TODAY = date(2022, 8, 28)
GOOD = "320722196608102143"
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def doc(value: str, kind: int = TEXT):
    found = documents(pl.Series([value], dtype=pl.String), pl.Series([kind], dtype=pl.UInt8), TODAY)
    return found.doc[0], found.kind[0], found.reason[0]


def with_check(stem: str) -> str:
    return stem + "10X98765432"[sum(int(d) * w for d, w in zip(stem, _WEIGHTS, strict=True)) % 11]


@pytest.mark.parametrize(
    "text", [GOOD, f" {GOOD} ", "３２０７２２１９６６０８１０２１４３", f"'{GOOD}", f'="{GOOD}"', "320722 19660810 2143", f"\t{GOOD}\u200b"]
)
def test_spellings_of_one_number(text):
    assert doc(text) == (GOOD, "resident_id", None)


def test_small_x():
    number = next(n for n in (with_check(f"32072219660810{i:03d}") for i in range(999)) if n.endswith("X"))
    assert doc(number.lower()) == (number, "resident_id", None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD[:17], "id_length"),
        ("320722660810214", "id_length"),
        (GOOD + "1", "id_length"),
        ("3207", "id_length"),
        (with_check("32072219661310214"), "id_date"),
        (with_check("32072219660230214"), "id_date"),
        (with_check("32072220990810214"), "id_date"),
        (with_check("32072218660810214"), "id_date"),
        (GOOD[:17] + "4", "id_checksum"),
        (GOOD[:17] + "O", "id_checksum"),
        ("3.20722E+17", "id_numeric_cell"),
        ("320722196608102000.0", "id_numeric_cell"),
    ],
)
def test_reasons(text, reason):
    assert doc(text) == (None, None, reason)


def test_number_in_a_numeric_cell_is_refused_by_its_type():
    assert doc(GOOD, NUMBER) == (None, None, "id_numeric_cell")
    assert doc("12345678", NUMBER) == (None, None, "id_numeric_cell")


def test_division_part_never_refuses():
    assert doc(with_check("99999919660810214"))[2] is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("E12345678", "passport"),
        ("EA1234567", "passport"),
        ("H1234567801", "hk_mo_permit"),
        ("M12345678", "hk_mo_permit"),
        ("01234567", "tw_permit"),
        ("USA123456789012", "foreign_permit"),
    ],
)
def test_other_documents_by_shape(text, kind):
    assert doc(text.lower()) == (text, kind, None)


@pytest.mark.parametrize("text", ["", " ", "无", "-", "/", "不详", "暂无"])
def test_no_document_is_no_reason(text):
    assert doc(text) == (None, None, None)


@given(st.dates(date(1900, 1, 1), TODAY), st.integers(0, 999), st.integers(0, 16), st.integers(1, 9))
def test_any_single_wrong_digit_is_noticed(born, order, at, change):
    number = with_check(f"320722{born:%Y%m%d}{order:03d}")
    assert doc(number)[2] is None
    wrong = number[:at] + str((int(number[at]) + change) % 10) + number[at + 1 :]
    assert doc(wrong)[2] in ("id_date", "id_checksum")


@pytest.mark.parametrize(
    "text",
    [
        "13812345678",
        "+86 138 1234 5678",
        "+8613812345678",
        "8613812345678",
        "0086-13812345678",
        "138-1234-5678",
        "１３８１２３４５６７８",
        "13812345678.0",
        " 13812345678",
        "(138)12345678",
        "013812345678",
        "手机：13812345678",
        "13812345678/",
    ],
)
def test_spellings_of_one_phone(text):
    found = phones(pl.Series([text]))
    assert (found.phone[0], found.kind[0], found.bad[0]) == ("13812345678", "mobile", False)


@pytest.mark.parametrize(
    ("text", "phone"),
    [
        ("0518-85801234", "0518-85801234"),
        ("051885801234", "0518-85801234"),
        ("85801234", "85801234"),
        ("+86 518 85801234", "0518-85801234"),
    ],
)
def test_landlines_stay(text, phone):
    found = phones(pl.Series([text]))
    assert (found.phone[0], found.kind[0], found.bad[0]) == (phone, "landline", False)


@pytest.mark.parametrize("text", ["1381234567", "12812345678", "138123456789", "abc", "1.38E+10"])
def test_bad_phones(text):
    assert phones(pl.Series([text])).bad[0]


def test_several_phones_in_a_cell():
    found = phones(pl.Series(["13812345678、13912345678", "无", None]))
    assert found.phone.to_list() == ["13812345678", None, None]
    assert found.several.to_list() == [True, False, False]
    assert not found.bad.any()


def moment(text: str, kind: int = TEXT, now=datetime(2022, 8, 28, 8, tzinfo=SHANGHAI)):
    found = times(pl.Series([text], dtype=pl.String), pl.Series([kind], dtype=pl.UInt8), now)
    local = found.at[0].astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M") if found.at[0] else None
    return (local, found.precision[0]) if not found.bad[0] else "bad"


@pytest.mark.parametrize(
    "text",
    [
        "2022-08-27",
        "2022/8/27",
        "2022.8.27",
        "2022年8月27日",
        "8月27日",
        "8月27号",
        "8/27",
        "8.27",
        "8-27",
        "20220827",
        "８月２７日",
        "22.8.27",
        "2022-08-27T00:00:00",
        "44800",
        "8月27日（周六）",
        "8月27",
        "8月27日上午",
        "2022 - 08 - 27",
        "约8月27日",
        "8月27日左右",
    ],
)
def test_days(text):
    assert moment(text) == ("2022-08-27 00:00", "day")


@pytest.mark.parametrize(
    "text",
    [
        "2022-08-27 17:35",
        "2022-08-27 17:35:00",
        "2022/08/27 17:35",
        "2022/8/27 17:35",
        "202208271735",
        "20220827173500",
        "8月27日17:35",
        "8月27日 17时35分",
        "8.27 17:35",
        "8/27 17：35",
        "8月27日下午5点35",
        "2022-08-27T17:35",
        "2022-08-27T09:35:00Z",
        "8月27号 晚上5点35分",
        "２０２２／８／２７　１７：３５",
        "8/27/ 17:35"[:4] + " 17:35",
    ],
)
def test_minutes(text):
    assert moment(text) == ("2022-08-27 17:35", "minute")


@pytest.mark.parametrize(
    ("text", "local"),
    [("8月27日下午3点", "15:00"), ("8月27日3点半", "03:30"), ("8.27 9:30", "09:30"), ("20220827 9:05", "09:05"), ("44800.5", "12:00")],
)
def test_hours(text, local):
    assert moment(text) == (f"2022-08-27 {local}", "minute")


@pytest.mark.parametrize(
    "text", ["近日", "上周", "2022-13-45", "8月", "2月30日", "8月27日25:10", "1899-12-30", "abc", "27/13", "8月27日-29日"]
)
def test_unreadable(text):
    assert moment(text) == "bad"


def test_number_that_may_be_two_days_is_unreadable():
    assert moment("8.3", NUMBER) == "bad"
    assert moment("44800", NUMBER) == ("2022-08-27 00:00", "day")
    assert moment("202208271735", NUMBER) == ("2022-08-27 17:35", "minute")


@pytest.mark.parametrize("text", ["", "无", "-", None])
def test_missing_time_is_no_reason(text):
    assert moment(text) == (None, None)


def test_year_is_the_nearest():
    new_year = datetime(2023, 1, 2, 8, tzinfo=SHANGHAI)
    assert moment("12月31日", now=new_year) == ("2022-12-31 00:00", "day")
    assert moment("1月3日", now=datetime(2022, 12, 30, tzinfo=SHANGHAI)) == ("2023-01-03 00:00", "day")
    assert moment("2月29日", now=new_year) == "bad"


def test_serials_of_1904():
    found = times(pl.Series(["43338"]), pl.Series([NUMBER], dtype=pl.UInt8), datetime(2022, 8, 28, tzinfo=SHANGHAI), date_1904=True)
    assert found.at[0].astimezone(SHANGHAI).date() == date(2022, 8, 27)


def test_many_equal_shapes_take_the_fast_way_and_agree():
    texts = pl.Series([f"2022-08-27 {h:02d}:{m:02d}:00" for h in range(24) for m in range(60)])
    found = times(texts, None, datetime(2022, 8, 28, tzinfo=SHANGHAI))
    assert not found.bad.any()
    assert found.at.dt.convert_time_zone("Asia/Shanghai").dt.strftime("%Y-%m-%d %H:%M:%S").to_list() == texts.to_list()


def test_names():
    given = pl.Series(["彭 霞", "王\u3000梅", "买买提•吐尔逊", "卓玛.次仁", "John Smith", " 林琪䶮 ", "", None, "刘\u200b𬭚"])
    assert names(given).to_list() == ["彭霞", "王梅", "买买提·吐尔逊", "卓玛·次仁", "John Smith", "林琪䶮", None, None, "刘𬭚"]


def test_texts():
    assert cleaned(pl.Series(["ａ１　b", "  ", None, "=1+1"])).to_list() == ["a1 b", None, None, "=1+1"]


@pytest.mark.parametrize("text", [f"身份证{GOOD}", f"身份证号：{GOOD}", f"ID:{GOOD}", "\u202d" + GOOD + "\u202c", "320722-19660810-2143"])
def test_a_number_with_its_label_is_the_number(text):
    assert doc(text) == (GOOD, "resident_id", None)


@pytest.mark.parametrize("sign", ["×", "х", "Χ", "ｘ"])
def test_signs_that_look_like_the_x(sign):
    number = next(n for n in (with_check(f"32072219660810{i:03d}") for i in range(999)) if n.endswith("X"))
    assert doc(number[:17] + sign) == (number, "resident_id", None)


def test_what_a_row_says_of_its_document_counts_for_that_row():
    said = documents(pl.Series(["12345678", "12345678", GOOD]), None, TODAY, passports=pl.Series([True, False, True]))
    assert said.doc.to_list() == ["12345678", None, GOOD]
    assert said.reason.to_list() == [None, "id_length", None]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("0518-85801234 13800000001", "13800000001"),
        ("13800000001 微信同号", "13800000001"),
        ("13800000001\n13900000002", "13800000001"),
        ("微信13800000001", "13800000001"),
        ("00852-91234567", "+85291234567"),
        ("32072219660810214313800000001", None),
        ("1380000000", None),
        ("138000000011", None),
    ],
)
def test_a_mobile_number_among_other_words(text, want):
    assert phones(pl.Series([text])).phone.to_list() == [want]


@pytest.mark.parametrize(
    "text",
    [
        "27/8",
        "2022、8、27",
        "八月二十七日",
        "二〇二二年八月廿七日",
        "2022—08—27",
        "2022_08_27",
        "2022\\8\\27",
        "2022.08.27.",
        "27-8月 -22",
        "220827",
    ],
)
def test_more_ways_to_write_a_day(text):
    found = times(pl.Series([text]), None, datetime(2022, 8, 28, 8, tzinfo=SHANGHAI))
    assert [at.astimezone(SHANGHAI).date() for at in found.at] == [date(2022, 8, 27)]
    assert found.precision.to_list() == ["day"]


@pytest.mark.parametrize("text", ["1661592900", "1661592900000", "27-8月-22 05.35.00 下午"])
def test_more_ways_to_write_a_time(text):
    found = times(pl.Series([text]), None, datetime(2022, 8, 28, 8, tzinfo=SHANGHAI))
    assert found.at[0].astimezone(SHANGHAI).replace(tzinfo=None) == datetime(2022, 8, 27, 17, 35)


def test_what_may_be_two_days_is_none():
    said = times(pl.Series(["22/8", "8.27/8.28", "昨天", "25-28日", "13/13"]), None, datetime(2022, 8, 28, 8, tzinfo=SHANGHAI))
    assert said.bad.to_list() == [True] * 5
    numbers = times(pl.Series(["8.3", "8.27"]), pl.Series([NUMBER, NUMBER], dtype=pl.UInt8), datetime(2022, 8, 28, 8, tzinfo=SHANGHAI))
    assert numbers.bad.to_list() == [True, False], "8.3 in a numeric cell may have been the 30th"


def test_a_remark_behind_a_name_is_not_the_name():
    assert names(pl.Series(["彭霞（学生）", "李四(女)", "KIM (MINJUN)"])).to_list() == ["彭霞", "李四", "KIM (MINJUN)"]
