"""Names, numbers and masks of Chinese text."""

from __future__ import annotations

import re
import unicodedata

# Every sign that people type for the middle dot of a name (GB 18030 and Unicode have several); one stands for all.
_MIDDLE_DOTS = dict.fromkeys(map(ord, "·•・‧∙⋅．｡●"), "·")
_BLANK = re.compile(r"[\s\u00a0\u200b-\u200f\u2028-\u202e\u2060\u3000\ufeff]+")


def halfwidth(text: str) -> str:
    """Full-width digits, letters and signs as ordinary ones (NFKC)."""
    return unicodedata.normalize("NFKC", text)


def clean(text: str | None) -> str:
    """Half-width, outer and repeated blanks and invisible signs removed; None is the empty text."""
    return _BLANK.sub(" ", halfwidth(text)).strip() if text else ""


def name_key(name: str | None) -> str:
    """The key under which two spellings of a name are the same: no blanks, one middle dot, capitals."""
    if not name:
        return ""
    return _BLANK.sub("", halfwidth(name.translate(_MIDDLE_DOTS))).translate(_MIDDLE_DOTS).upper()


def digits(text: str | None) -> str:
    """Only the digits of a text, half-width."""
    return re.sub(r"[^0-9]", "", halfwidth(text)) if text else ""


def mask_name(name: str) -> str:
    """王小梅 -> 王*梅, 王梅 -> 王*; the surname and the last character of three or more stay."""
    if len(name) <= 1:
        return "*"
    return name[0] + "*" if len(name) == 2 else name[0] + "*" * (len(name) - 2) + name[-1]


def mask_phone(phone: str) -> str:
    """13812345678 -> 138****5678."""
    return phone[:3] + "*" * max(len(phone) - 7, 0) + phone[-4:] if len(phone) >= 8 else "*" * len(phone)


def mask_document(number: str) -> str:
    """320723199001011234 -> 320**********1234 keeps three and four signs; short numbers keep two."""
    if len(number) >= 15:
        return number[:3] + "*" * (len(number) - 7) + number[-4:]
    return "*" * max(len(number) - 2, 0) + number[-2:]


_FORMULA_SIGNS = tuple("=+-@\t\r＝＋－＠")


def is_formula(text: str) -> bool:
    """Whether a spreadsheet may take the text for a formula."""
    return text.startswith(_FORMULA_SIGNS) or text.lstrip().startswith(_FORMULA_SIGNS)


def inert(text: str) -> str:
    """A text for a CSV file: what a spreadsheet might run gets a quote before it, which spreadsheets do not show."""
    return f"'{text}" if is_formula(text) else text
