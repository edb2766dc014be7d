"""Ticks on paper and codes of rows: what they say, and that nothing is guessed."""

from __future__ import annotations

from datetime import date

import pytest

from bihuan.leads import paper
from bihuan.leads.duty_lists import code, number_of

TODAY = date(2022, 8, 28)
KINDS = ["leads.verify"] * 10 + ["leads.sample"] * 5 + ["leads.result"] * 5


def said(text: str, since: date | None = None) -> tuple[dict, list]:
    read = paper.read(text, KINDS, TODAY, since)
    return {no: (e["verb"], e.get("since")) for no, e in read.said.items()}, [(u["at"], u["code"]) for u in read.unread]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12、14 已办", {12: ("sampled", None), 14: ("sampled", None)}),
        ("3-5 没人接", {3: ("not_reached", None), 4: ("not_reached", None), 5: ("not_reached", None)}),
        ("1到2 在家 27日；3 8月25日在家", {1: ("here", "2022-08-27"), 2: ("here", "2022-08-27"), 3: ("here", "2022-08-25")}),
        ("1 2 人在家昨天\n16 阴性", {1: ("here", "2022-08-27"), 2: ("here", "2022-08-27"), 16: ("negative", None)}),
        ("１，２，５到６号 没人接", dict.fromkeys((1, 2, 5, 6), ("not_reached", None))),
        ("3 空号、4号 没人接", {3: ("wrong_number", None), 4: ("not_reached", None)}),
        ("1-3 在家27日，4 没人接", {**dict.fromkeys((1, 2, 3), ("here", "2022-08-27")), 4: ("not_reached", None)}),
        ("8 人在家 30日", {8: ("here", "2022-07-30")}),  # the last 30th, not one to come
        ("11-13已采 14、15 采了", dict.fromkeys((11, 12, 13, 14, 15), ("sampled", None))),
    ],
)
def test_what_people_write_is_read(text, expected):
    assert said(text) == (expected, [])


def test_a_day_that_was_not_written_is_not_made_up():
    assert said("3 已办")[0] == {3: ("here", None)}
    assert said("3 已办", date(2022, 8, 26))[0] == {3: ("here", "2022-08-26")}


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("你好", [("你好", "answer_unclear")]),
        ("16 已办", [("16 已办", "answer_unclear")]),  # which result?
        ("3、40 没人接", [("40 没人接", "number_unknown")]),
        ("3 没人接；3 在家 27日", [("3 在家 27日", "number_twice")]),
        ("5 8月25日", [("5 8月25日", "answer_unclear")]),
    ],
)
def test_what_cannot_be_read_is_named(text, unread):
    assert said(text)[1] == unread


def test_a_day_is_never_taken_for_a_row():
    assert 8 not in said("5 8月25日在家")[0]
    assert 9 not in said("5 9日在家")[0]


def test_any_one_wrong_digit_of_a_code_is_noticed():
    for number in (1, 23, 132, 48213, 9_999_999):
        good = code(number)
        assert number_of(good) == number
        assert number_of(good.lower()) == number
        digits = good[:-1]
        for at in range(len(digits)):
            for other in "0123456789":
                if other != digits[at]:
                    assert number_of(digits[:at] + other + digits[at + 1 :] + good[-1]) is None
        for at in range(len(digits) - 1):
            if digits[at] != digits[at + 1]:
                assert number_of(digits[:at] + digits[at + 1] + digits[at] + digits[at + 2 :] + good[-1]) is None


@pytest.mark.parametrize("text", ["", "132", "T", "13 2T", "132TT", "-132T", "1" * 30 + "A"])
def test_what_is_no_code_is_none(text):
    assert number_of(text) is None
