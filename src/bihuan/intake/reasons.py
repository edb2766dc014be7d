"""Why a row was refused, and what was noticed about a row that was taken: stable codes with sentences.

The order of `ORDER` is that of the accounts: of all reasons of a row the first in this order is counted; all are shown.
Sentences never repeat the value of the cell, because error workbooks and logs travel further than lists.
"""

from __future__ import annotations

from dataclasses import dataclass

ORDER = (
    "id_numeric_cell",
    "id_length",
    "id_date",
    "id_checksum",
    "date_unreadable",
    "phone_bad",
    "no_identity",
    "cell_too_long",
    "row_failed",
)
WARNINGS = ("formula_text", "hidden_row", "phone_landline", "phone_several", "extra_cells", "broken_text")


@dataclass(frozen=True)
class Sentence:
    """One sentence in both languages; `{n}` is a count of characters where the code has one."""

    zh: str
    en: str


SENTENCES: dict[str, Sentence] = {
    "id_numeric_cell": Sentence(
        "证件号码存成了数字，末几位已丢失；请把该列设为文本后重新填写",
        "The ID number is stored as a number and its last digits are lost; format the column as text and type it again",
    ),
    "id_length": Sentence("身份证号应为18位，现为{n}位", "A resident ID number has 18 characters; this one has {n}"),
    "id_length_15": Sentence(
        "这是15位的旧身份证号，请填写18位的现行号码",
        "This is an old ID number of 15 digits; please give the present one of 18",
    ),
    "id_date": Sentence("身份证号中的出生日期不存在", "The date of birth inside the ID number does not exist"),
    "id_checksum": Sentence("身份证号校验不符，可能有一位写错", "The ID number fails its check digit: probably one digit is wrong"),
    "date_unreadable": Sentence(
        "到达时间看不懂，请写成 2022-08-27 或 2022-08-27 17:35 的样子",
        "The time of arrival cannot be read; write it like 2022-08-27 or 2022-08-27 17:35",
    ),
    "phone_bad": Sentence("电话号码不是11位手机号，也不是座机号", "The phone is neither a mobile number of 11 digits nor a landline"),
    "no_identity": Sentence("既没有证件号码也没有电话，无法确定是谁", "Neither an ID number nor a phone: nobody can be identified"),
    "cell_too_long": Sentence(
        "这一格的文字太长，像是误贴了别的内容，请改短", "The text in this cell is far too long, as if something else was pasted; shorten it"
    ),
    "row_failed": Sentence(
        "这一行没有记上（其余照常），请核对后单独再交一次；还不行请告诉系统管理员",
        "This row could not be recorded (the others were); check it and send it again alone, or tell the administrator",
    ),
    "formula_text": Sentence(
        "单元格是公式或以 = + - @ 开头，已按文字保存", "The cell is a formula or begins with = + - @; kept as plain text"
    ),
    "hidden_row": Sentence("这一行在表中被隐藏，已照常读取", "The row is hidden in the sheet; it was read like any other"),
    "phone_landline": Sentence("电话是座机", "The phone is a landline"),
    "phone_several": Sentence("一格中有几个电话，取第一个", "Several phones in one cell; the first was taken"),
    "broken_text": Sentence("有字符损坏（显示为 \ufffd），请核对", "Some characters are damaged (shown as \ufffd); please check"),
    "extra_cells": Sentence("这一行比表头多出单元格", "The row has more cells than the head"),
}


def sentence(code: str, language: str = "zh", *, length: int | None = None) -> str:
    """The sentence of a code; `length` is the number of characters of an ID of wrong length."""
    key = "id_length_15" if code == "id_length" and length == 15 else code
    found = SENTENCES[key]
    text = found.en if language.startswith("en") else found.zh
    return text.format(n="?" if length is None else length)
