"""What senders write into cells, as values: documents, phones, times. Vectorised; odd spellings once per distinct text.

Each function takes a text column and returns columns of the same height. None of them raises for a value: what cannot
be read is a reason.
"""

# ruff: noqa: DTZ001 - cells hold local times without a zone
from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from bihuan.intake.read import NUMBER, excel_moment
from bihuan.kernel.clock import SHANGHAI
from bihuan.kernel.text import halfwidth

# What people write for "there is none".
_NONE = frozenset(("", *"- -- — —— / \\ 无 没有 暂无 不详 未知 未提供 空 null NULL None N/A n/a NA 0 * ／ ?".split()))  # noqa: SIM905
_GAPS = re.compile(r"[\s\x00-\x1f\x7f-\xa0\xad\u200b-\u200f\u2028-\u202e\u2060\ufeff'`\"’‘“”]+")

# GB 11643-1999 (ISO 7064 MOD 11-2): weights of the first 17 digits and the check characters of the sum modulo 11.
_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2], dtype=np.uint16)
# By the weighted sum itself, of whatever bytes stand where digits should: a division for each row would cost as much as the sum.
_CHECK = np.frombuffer(b"10X98765432", dtype=np.uint8)[np.arange(255 * int(_WEIGHTS.sum()) + 1) % 11]
_MONTH_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.uint8)
_FIRST_BIRTH_YEAR = 1900

_OTHER_DOCUMENTS = (
    ("hk_mo_permit", re.compile(r"^[HM]\d{8}(?:\d{2})?$")),  # 港澳居民来往内地通行证
    ("tw_permit", re.compile(r"^0\d{7}$|^\d{8}[A-Z]$")),  # 台湾居民来往大陆通行证; other eight digits are more often a date
    ("foreign_permit", re.compile(r"^[A-Z]{3}\d{12}$")),  # 外国人永久居留身份证, old form
    ("passport", re.compile(r"^(?=.*\d{4})[A-Z][A-Z0-9]{5,10}$|^(?=\d{0,2}[A-Z])[0-9A-Z]{8,9}$")),
    ("military", re.compile(r"^[\u4e00-\u9fff]{1,3}字第?\d{4,10}号?$")),
)
_PASSPORT = 2 + [kind for kind, _ in _OTHER_DOCUMENTS].index("passport")
_DIGITS_OF_PASSPORT = re.compile(r"^[0-9A-Z]{6,9}$")  # ICAO Doc 9303: at most nine signs
_DOC_LABEL = re.compile(r"^(?:(?:居民|公民)?身份证?(?:号码?|件号码?)?|证件号码?|证号|护照号?码?|ID(?:NO)?)[:：]*(?=.{6})")
_X_LIKE = dict.fromkeys(map(ord, "×ХΧ"), "X")  # the sign of multiplication, the Cyrillic and the Greek letter
_LOST_DIGITS = re.compile(r"^\d(?:\.\d+)?[eE]\+?\d{2}$|^\d{15,18}\.0+$")


@dataclass(frozen=True)
class Documents:
    """`doc` normalised or null, `kind` (resident_id, passport …) or null, `reason` or null, `length` of what was given."""

    doc: pl.Series
    kind: pl.Series
    reason: pl.Series
    length: pl.Series


def _scatter(base: pl.Series, at: np.ndarray, values: list) -> pl.Series:
    return base.scatter(at, pl.Series(values, dtype=base.dtype)) if len(at) else base


def checked_ids(matrix: np.ndarray, today: date) -> tuple[np.ndarray, np.ndarray]:
    """(date exists, check digit fits) for ID numbers as bytes, shape (n, 18), digits in the first 17 columns."""
    digit = [matrix[:, i] - np.uint8(48) for i in range(17)]
    total = np.zeros(len(matrix), dtype=np.uint16)
    for i in range(17):
        total += digit[i] * _WEIGHTS[i]
    fits = _CHECK[total] == matrix[:, 17]
    year = digit[6] * np.int16(1000) + digit[7] * np.int16(100) + digit[8] * np.int16(10) + digit[9]
    month, day = digit[10] * np.uint8(10) + digit[11], digit[12] * np.uint8(10) + digit[13]
    known = (month >= 1) & (month <= 12)
    exists = known & (day >= 1) & (day <= _MONTH_DAYS[np.where(known, month, 0)]) & (year >= _FIRST_BIRTH_YEAR)
    last = np.flatnonzero((month == 2) & (day == 29))  # few
    exists[last] &= (year[last] % 4 == 0) & ((year[last] % 100 != 0) | (year[last] % 400 == 0))
    ordinal = year.astype(np.int32) * 10000 + month.astype(np.int32) * 100 + day
    return exists & (ordinal <= today.year * 10000 + today.month * 100 + today.day), fits


def byte_matrix(texts: pl.Series, width: int) -> np.ndarray:
    """Texts that all have `width` bytes as uint8, shape (n, width)."""
    joined = texts.str.join("")[0] if len(texts) else ""
    return np.frombuffer((joined or "").encode(), dtype=np.uint8).reshape(-1, width)


def documents(text: pl.Series, kind: pl.Series | None, today: date, *, passports: bool | pl.Series = False) -> Documents:
    """Check ID numbers; the reason is the first of id_numeric_cell, id_length, id_date, id_checksum.

    The division part never refuses: divisions are renamed and abolished, people keep their number. Passports and
    permits are taken by their shape. Old numbers of 15 digits are refused as id_length. `passports`: the column, or the row, says that it
    is of passports or permits, of which some are digits only.
    """
    n = len(text)
    plain = text.fill_null("").str.strip_chars()
    size = plain.str.len_bytes()
    full = np.flatnonzero((size == 18).to_numpy())
    reason = np.zeros(n, dtype=np.int8)  # 0 none, 1 numeric, 2 length, 3 date, 4 checksum
    kinds = np.zeros(n, dtype=np.int8)  # 0 none, 1 resident, then _OTHER_DOCUMENTS
    doc = plain
    resolved = (size == 0).to_numpy().copy()
    if len(full):
        matrix = byte_matrix(plain if len(full) == n else plain.gather(full), 18)
        digits = ((matrix[:, :17] - np.uint8(48)) <= 9).all(axis=1)
        last = matrix[:, 17]
        small = last == ord("x")
        shaped = digits & (((last - np.uint8(48)) <= 9) | (last == ord("X")) | small)
        if small.any():
            matrix = matrix.copy()
            matrix[small, 17] = ord("X")
            where = full[shaped & small]
            doc = doc.scatter(where, doc.gather(where).str.to_uppercase())
        exists, fits = checked_ids(matrix, today)
        at = full[shaped]
        reason[at] = np.where(~exists, 3, np.where(~fits, 4, 0))[shaped]
        kinds[at] = 1
        resolved[at] = True
    rest = np.flatnonzero(~resolved)
    length = plain.str.len_chars().cast(pl.Int32)
    if len(rest):
        left = doc.gather(rest)
        foreign = passports.gather(rest).to_list() if isinstance(passports, pl.Series) else [passports] * len(rest)
        asked = list(zip(left.to_list(), foreign, strict=True))
        known = {one: _document(one[0], today, passports=one[1]) for one in set(asked)}
        answers = [known[one] for one in asked]
        doc = _scatter(doc, rest, [a[0] for a in answers])
        kinds[rest] = [a[1] for a in answers]
        reason[rest] = [a[2] for a in answers]
        length = _scatter(length, rest, [a[3] for a in answers])
    if kind is not None:  # whatever it looks like: fifteen digits is all that a numeric cell keeps
        numeric = (kind == NUMBER).to_numpy() & (size > 0).to_numpy()
        reason[numeric], kinds[numeric] = 1, 0
    bad = pl.Series(reason != 0)
    empty = pl.Series(kinds == 0)
    doc = pl.select(pl.when(bad | empty).then(None).otherwise(doc)).to_series()
    kind_names = pl.Series([None, "resident_id", *(k for k, _ in _OTHER_DOCUMENTS)], dtype=pl.String)
    reason_names = pl.Series([None, "id_numeric_cell", "id_length", "id_date", "id_checksum"], dtype=pl.String)
    return Documents(doc, kind_names.gather(np.where(reason != 0, 0, kinds)), reason_names.gather(reason), length)


def _document(value: str, today: date, *, passports: bool = False) -> tuple[str | None, int, int, int]:
    """(document, kind, reason, length) of one odd spelling; codes as in `documents`."""
    plain = _GAPS.sub("", halfwidth(value)).upper().lstrip("=")
    if _LOST_DIGITS.match(plain):
        return None, 0, 1, len(plain)
    plain = _DOC_LABEL.sub("", plain.replace("-", "").replace("—", "").rstrip(".,;、。"))
    if len(plain) == 18:
        plain = plain[:17] + plain[17].translate(_X_LIKE)
    if plain in _NONE or not plain:
        return None, 0, 0, 0
    if len(plain) == 18 and plain[:17].isascii() and plain[:17].isdigit() and plain[17] in "0123456789X":
        exists, fits = checked_ids(np.frombuffer(plain.encode(), dtype=np.uint8).reshape(1, 18), today)
        return plain, 1, 3 if not exists[0] else 4 if not fits[0] else 0, 18
    for i, (_, shape) in enumerate(_OTHER_DOCUMENTS):
        if shape.match(plain):
            return plain, i + 2, 0, len(plain)
    if passports and _DIGITS_OF_PASSPORT.match(plain):
        return plain, _PASSPORT, 0, len(plain)
    if len(plain) == 18:  # a letter among the digits: in the date it is no date, elsewhere the sum cannot fit
        return None, 0, 4 if plain[6:14].isdigit() else 3, 18
    return None, 0, 2, len(plain)


# --- phones ---------------------------------------------------------------------------------------------------------

_MOBILE = re.compile(r"^1[3-9]\d{9}$")
_LANDLINE = re.compile(r"^(0\d{2,3})?([2-8]\d{6,7})(?:[-转](\d{1,6}))?$")
_MOBILE_WITHIN = re.compile(r"(?<![0-9])(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?![0-9])")
_SPLIT = re.compile(r"[/、,;|或]|\s{2,}")


@dataclass(frozen=True)
class Phones:
    """`phone` normalised or null, `kind` (mobile, landline, foreign) or null, `bad` and `several` as booleans."""

    phone: pl.Series
    kind: pl.Series
    bad: pl.Series
    several: pl.Series


def phones(text: pl.Series) -> Phones:
    """Mobile numbers of mainland China as 11 digits; landlines as 0518-85801234; numbers of other countries with +."""
    n = len(text)
    plain = text.fill_null("").str.strip_chars()
    size = plain.str.len_bytes()
    value = plain.cast(pl.Int64, strict=False)
    mobile = ((size == 11) & value.is_between(13_000_000_000, 19_999_999_999)).fill_null(False).to_numpy()
    kinds = mobile.astype(np.int8)
    bad, several = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    phone = plain
    rest = np.flatnonzero(~mobile & (size > 0).to_numpy())
    if len(rest):
        left = plain.gather(rest)
        known = {v: _phone(v) for v in left.unique().to_list()}
        answers = [known[v] for v in left.to_list()]
        phone = _scatter(phone, rest, [a[0] for a in answers])
        kinds[rest] = [a[1] for a in answers]
        bad[rest] = [a[2] for a in answers]
        several[rest] = [a[3] for a in answers]
    phone = pl.select(pl.when(pl.Series(kinds == 0)).then(None).otherwise(phone)).to_series()
    names = pl.Series([None, "mobile", "landline", "foreign"], dtype=pl.String)
    return Phones(phone, names.gather(kinds), pl.Series(bad), pl.Series(several))


def _phone(value: str) -> tuple[str | None, int, bool, bool]:
    """(phone, kind, bad, several) of one odd spelling."""
    whole = _one_phone(value)
    if whole is not None:
        return *whole, False
    found = [p for p in map(_one_phone, _SPLIT.split(halfwidth(value))) if p and p[0]]
    # Words or a landline beside it (微信同号, 0518-85801234 13800000001): eleven digits that stand alone are a mobile number.
    found += [p for p in map(_one_phone, _MOBILE_WITHIN.findall(halfwidth(value))) if p and p[0] and p not in found]
    if found:
        best = min(found, key=lambda p: p[1])
        return *best, len(found) > 1
    return None, 0, True, False


def _one_phone(value: str) -> tuple[str | None, int, bool] | None:
    """(phone, kind, False), (None, 0, False) for a blank, None when it is no phone."""
    plain = re.sub(
        r"[\s()\x00-\x1f\x7f-\xa0\xad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff'`.·]+", "", re.sub(r"\.0+$", "", halfwidth(value))
    ).lstrip('="')
    plain = re.sub("[‐‑‒–—−]", "-", plain).strip('"')
    plain = re.sub(r"^(?:手机|电话|tel|本人)[::]?", "", plain, flags=re.IGNORECASE)
    plain = re.sub(r"(?<=\d{7})[\u4e00-\u9fff]{1,4}$", "", plain)  # whose it is: (本人), (母亲)
    if plain in _NONE:
        return None, 0, False
    bare = plain.replace("-", "")
    bare = re.sub(r"^00(?!86)(?=[1-9]\d{8})", "+", bare)
    local = re.sub(r"^(?:\+|00)86", "", bare)
    if re.match(r"^861[3-9]\d{9}$", local):
        local = local[2:]
    if local.startswith("01") and _MOBILE.match(local[1:]):
        local = local[1:]  # a trunk 0 before a mobile, as old exchanges wanted it
    if _MOBILE.match(local):
        return local, 1, False
    if re.match(r"^\+(?!86)\d{7,15}$", bare):
        return bare, 3, False
    match = _LANDLINE.match(
        re.sub(r"^(\+86|0086)-?0?", "0", plain) if plain.startswith(("+86", "0086")) else re.sub(r"^(0\d{2,3})-", r"\1", plain)
    )
    if match:
        area, number, extension = match.groups()
        return "-".join(p for p in (area, number, extension) if p), 2, False
    return None


# --- times ----------------------------------------------------------------------------------------------------------

_FORMATS = (
    (19, "%Y-%m-%d %H:%M:%S", False),
    (16, "%Y/%m/%d %H:%M", False),
    (16, "%Y-%m-%d %H:%M", False),
    (19, "%Y/%m/%d %H:%M:%S", False),
    (10, "%Y-%m-%d", True),
    (10, "%Y/%m/%d", True),
    (12, "%Y%m%d%H%M", False),
    (8, "%Y%m%d", True),
    (14, "%Y%m%d%H%M%S", False),
)
_DAY = re.compile(
    r"^(?:(?P<year>\d{4}|\d{2})[-/.年])?(?P<month>\d{1,2})(?:[-/.月])(?P<day>\d{1,2})[日号]?(?:\((?:周|星期)[一二三四五六日天]\))?"
    r"(?:(?:周|星期)[一二三四五六日天])?[T,，]?(?P<clock>.*)$"
)
_COMPACT = re.compile(r"^(?P<year>20\d\d)(?P<month>\d\d)(?P<day>\d\d)(?P<clock>(?:\d{4}|\d{6})|(?:[T]?\d{1,2}:.*))?$")
_CLOCK = re.compile(
    r"^(?P<part>凌晨|早上|早晨|早|上午|中午|下午|傍晚|晚上|晚间|晚|夜里|夜间|夜|AM|PM)?(?:(?P<hour>\d{1,2})(?:[:点时](?P<minute>\d{1,2}|半|整)?)?"
    r"分?(?:[:]?(?P<second>\d{1,2})(?:\.\d+)?秒?)?)?(?P<after>AM|PM)?$",
    re.IGNORECASE,
)
_TAIL = re.compile(r"(?:左右|前后|许|到达|抵达|抵连|返连|到家|返回|回来|到连|到)$")
_PM = ("下午", "傍晚", "晚上", "晚间", "晚", "夜里", "夜间", "夜", "PM")
_EARLIEST_SERIAL, _LATEST_SERIAL = 36_526, 73_050  # 2000-01-01 and 2099-12-31 in a spreadsheet


@dataclass(frozen=True)
class Times:
    """`at` in UTC or null, `precision` (minute, day) or null, `bad` as booleans. A day stands for its first instant."""

    at: pl.Series
    precision: pl.Series
    bad: pl.Series


def times(text: pl.Series, kind: pl.Series | None, now: datetime, *, date_1904: bool = False, month_first: bool = False) -> Times:
    """Times of arrival as senders write them, read as Asia/Shanghai. A date without year is the one nearest to `now`.

    3/4/2022 is read where the form or another cell of the column tells which is the month; else it is `bad`.
    """
    n = len(text)
    plain = text.fill_null("").str.strip_chars()
    size = plain.str.len_bytes().to_numpy()
    numeric = (kind == NUMBER).to_numpy() if kind is not None else np.zeros(n, dtype=bool)
    micro = np.zeros(n, dtype=np.int64)
    state = np.zeros(n, dtype=np.int8)  # 0 open, 1 minute, 2 day, 3 bad, 4 blank
    state[size == 0] = 4
    for width, pattern, day in _FORMATS:
        at = np.flatnonzero((state == 0) & (size == width))
        if not len(at):
            continue
        if width in (16, 19) and len(at) < 64 and n > 10_000:
            continue
        parsed = (plain if len(at) == n else plain.gather(at)).str.to_datetime(pattern, time_unit="us", strict=False)
        good = parsed.is_not_null().to_numpy()
        values = parsed.fill_null(datetime(1970, 1, 1)).to_physical().to_numpy()
        plausible = good & (values > _PLAUSIBLE[0]) & (values < _PLAUSIBLE[1])
        micro[at[plausible]] = values[plausible]
        state[at[plausible]] = 2 if day else 1
    rest = np.flatnonzero(state == 0)
    if len(rest):
        local_now = now.astimezone(SHANGHAI).replace(tzinfo=None)
        left = plain.gather(rest).to_list()
        year_last = "month" if month_first else _order(left)
        flags = numeric[rest].tolist()
        known: dict[tuple[str, bool], tuple[datetime | None, int]] = {}
        answers = []
        for key in zip(left, flags, strict=True):
            if key not in known:
                known[key] = _moment(_year_first(key[0], year_last), local_now, numeric=key[1], date_1904=date_1904)
            answers.append(known[key])
        micro[rest] = [_microseconds(a[0]) if a[0] else 0 for a in answers]
        state[rest] = [a[1] for a in answers]
    local = pl.Series(micro).cast(pl.Datetime("us"))
    fine = pl.Series((state == 1) | (state == 2))
    offset = 8 * 3600 * 1_000_000  # Shanghai has kept UTC+8 all year since 1991-09-15; nobody arrives before that here
    utc = (local.to_physical() - offset).cast(pl.Datetime("us", "UTC"))
    utc = pl.select(pl.when(fine).then(utc).otherwise(None)).to_series()
    names = pl.Series([None, "minute", "day", None, None], dtype=pl.String)
    return Times(utc, names.gather(state), pl.Series(state == 3))


_YEAR_LAST = re.compile(r"^(\d{1,2})[/.-](\d{1,2})[/.-](20\d\d)(?!\d)\s*(.*)$")
_ENGLISH = re.compile(
    r"^(?:(?P<day>\d{1,2})[\s.-]*)?(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[\s.,-]*"
    r"(?(day)|(?P<day_after>\d{1,2})(?:st|nd|rd|th)?[\s,]+)(?P<year>20\d\d)(?!\d)\s*(?P<clock>.*)$",
    re.IGNORECASE,
)
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905


def _order(texts: list[str]) -> str:
    """Which number comes first where the year stands last: "month", "day", or "" when the column does not tell."""
    firsts = [(int(m[1]), int(m[2])) for m in map(_YEAR_LAST.match, texts) if m]
    day_first, month_first = any(a > 12 for a, _ in firsts), any(b > 12 for _, b in firsts)
    return "" if day_first == month_first else "day" if day_first else "month"


def _year_first(text: str, year_last: str) -> str:
    """`3/21/2022 23:40` and `Mar 21 2022 11:40PM` as 2022-03-21 and the clock; anything else as it stands."""
    match = _ENGLISH.match(text)
    if match:
        month = _MONTHS.index(match["month"].lower()) + 1
        return f"{match['year']}-{month:02d}-{int(match['day'] or match['day_after']):02d} {_clock_24(match['clock'])}".strip()
    match = _YEAR_LAST.match(text)
    if not match:
        return text
    month, day = (match[1], match[2]) if year_last == "month" else (match[2], match[1])
    if not year_last:
        return "" if not text else "?/?/?"  # nobody can tell the month from the day
    return f"{match[3]}-{month}-{day} {_clock_24(match[4])}".strip()


def _clock_24(text: str) -> str:
    return re.sub(r"\s+(?=[AaPp]\.?[Mm])", "", text.strip())


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)


_PLAUSIBLE = (_microseconds(datetime(2000, 1, 1)), _microseconds(datetime(2100, 1, 1)))


def _moment(value: str, now: datetime, *, numeric: bool, date_1904: bool) -> tuple[datetime | None, int]:
    """(naive local time, state) of one odd spelling; states as in `times`."""
    text = halfwidth(value).strip().strip("'\"`“”")
    if text in _NONE:
        return None, 4
    aware = _aware(text)
    if aware:
        return aware, 1
    bare = re.sub(r"\s+", "", text)
    if re.match(r"^\d{5}(?:\.\d+)?$", bare) and _EARLIEST_SERIAL <= float(bare) < _LATEST_SERIAL:
        moment = excel_moment(float(bare), date_1904=date_1904)
        return moment, 2 if moment.hour == moment.minute == moment.second == 0 else 1
    counted = _counted(bare, now)
    if counted:
        return counted, 2 if len(bare) == 6 else 1
    if numeric and not re.match(r"^20\d{6}(?:\d{4}|\d{6})?$|^\d{1,2}\.\d\d$", bare):
        return None, 3  # 8.3 in a numeric cell may have been the 3rd or the 30th of August; 8.27 is the 27th
    text = _in_digits(text)
    bare = _TAIL.sub("", re.sub(r"^(?:约|大约|大概|预计|于)", "", re.sub(r"\s+", "", text)))
    dated = "T" in text and re.match(r"^\d{4}-\d\d-\d\dT00:00:00$", text)
    match = _COMPACT.match(bare) or _DAY.match(_spaced(text))
    if not match:
        return None, 3
    month, day_of_month = int(match.group("month")), int(match.group("day"))
    if not match.group("year") and month > 12 >= day_of_month and "月" not in text and abs(month - now.year % 100) > 1:
        month, day_of_month = day_of_month, month  # 27/8; but 22/8 may be the August of 2022
    day = _date(match.group("year"), month, day_of_month, now)
    if day is None:
        return None, 3
    clock = (match.group("clock") or "").strip()
    if not clock or dated:
        return datetime(day.year, day.month, day.day), 2
    if re.match(r"^\d{4}(?:\d\d)?$", clock):
        clock = f"{clock[:2]}:{clock[2:4]}"
    minutes = _minutes(clock)
    if minutes is None:
        return None, 3
    if minutes < 0:  # a part of the day without an hour: only the day is known
        return datetime(day.year, day.month, day.day), 2
    return datetime(day.year, day.month, day.day) + timedelta(minutes=minutes), 1


_ORACLE = re.compile(
    r"^(?P<day>\d{1,2})-(?P<month>\d{1,2})月\s*-(?P<year>\d\d)(?:\s+(?P<clock>\d{1,2}[.:]\d\d(?:[.:]\d\d)?)(?:\.\d+)?\s*(?P<after>上午|下午)?)?$"
)
_HAN_DIGIT = {sign: n for n, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "○": 0, "两": 2}
_HAN_NUMBER = re.compile(r"[〇○零一二两三四五六七八九十廿]+(?=[年月日号点时分])")


def _in_digits(text: str) -> str:
    """八月二十七日 as 8月27日, 二〇二二年 as 2022年, 2022、8、27 with points."""
    text = re.sub(r"(?<=\d)、(?=\d)", ".", re.sub(r"[—–‐‑−_\\]+", "-", text.rstrip(".。,; ")))
    oracle = _ORACLE.match(text)
    if oracle:  # how a database of that make prints a day where nobody said otherwise: 27-8月 -22
        clock = f"{oracle['after'] or ''}{(oracle['clock'] or '').replace('.', ':')}"
        text = f"20{oracle['year']}-{oracle['month']}-{oracle['day']} {clock}".strip()
    return _HAN_NUMBER.sub(lambda found: _han_number(found[0]), text)


def _counted(digits: str, now: datetime) -> datetime | None:
    """A moment written as a bare number: seconds or milliseconds since 1970, 2022082717, 220827."""
    if re.match(r"^1[5-9]\d{8}(?:\d{3})?$", digits):
        return datetime.fromtimestamp(int(digits[:10]), SHANGHAI).replace(tzinfo=None)
    shape = {10: "%Y%m%d%H", 6: "%y%m%d"}.get(len(digits))
    if shape is None or not digits.isdigit():
        return None
    try:
        moment = datetime.strptime(digits, shape)  # noqa: DTZ007 - cells hold local times without a zone
    except ValueError:
        return None
    return moment if abs(moment.year - now.year) <= 1 else None


def _han_number(written: str) -> str:
    written = written.replace("廿", "二十")
    if "十" not in written:
        return "".join(str(_HAN_DIGIT[sign]) for sign in written)
    tens, _, ones = written.partition("十")
    if len(tens) > 1 or len(ones) > 1:
        return written
    return str((_HAN_DIGIT[tens] if tens else 1) * 10 + (_HAN_DIGIT[ones] if ones else 0))


def _spaced(text: str) -> str:
    """Blanks removed but the one between date and time, which keeps `8.27 9:30` from becoming `8.279:30`."""
    text = _TAIL.sub("", re.sub(r"^(?:约|大约|大概|预计|于)", "", text.strip()))
    text = re.sub(r"\s*([-/.年月日号])\s*", r"\1", text)
    return re.sub(r"\s+", ",", text, count=1) if re.search(r"\d\s+\d", text) else re.sub(r"\s+", "", text)


def _aware(text: str) -> datetime | None:
    """An ISO time with a zone, as local time."""
    if not re.match(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*(?:Z|[+-]\d\d:?\d\d)$", text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(SHANGHAI).replace(tzinfo=None, microsecond=0)
    except ValueError:
        return None


def _date(year: str | None, month: int, day: int, now: datetime) -> date | None:
    """The date; without a year the one nearest to now; a year of two digits is of this century."""
    try:
        if year:
            full = int(year) if len(year) == 4 else 2000 + int(year)
            if not 2000 <= full < 2100:
                return None
            return date(full, month, day)
        candidates = []
        for guess in (now.year - 1, now.year, now.year + 1):
            try:
                candidates.append(date(guess, month, day))
            except ValueError:  # 29 February
                continue
        nearest = min(candidates, key=lambda d: abs((d - now.date()).days), default=None)
        return nearest if nearest and abs((nearest - now.date()).days) <= 183 else None  # 29 February of a common year is no date
    except ValueError:
        return None


def _minutes(clock: str) -> int | None:
    """Minutes of the day, -1 when only a part of the day is named, None when unreadable."""
    match = _CLOCK.match(clock.replace(",", "").replace(" ", ""))
    if not match:
        return None
    part, after = (match.group("part") or "").upper(), (match.group("after") or "").upper()
    if match.group("hour") is None:
        return -1
    hour = int(match.group("hour"))
    minute_text = match.group("minute")
    minute = 30 if minute_text == "半" else 0 if minute_text in (None, "整") else int(minute_text)
    if (part in _PM or after == "PM") and hour < 12:
        hour += 12
    if part == "中午" and hour < 10:
        hour += 12
    if (part in ("凌晨", "AM") or after == "AM") and hour == 12:
        hour = 0
    if hour == 24 and minute == 0:
        return 24 * 60
    return hour * 60 + minute if hour < 24 and minute < 60 else None


# --- texts ----------------------------------------------------------------------------------------------------------


def utc(moment: datetime) -> datetime:
    """An aware time in UTC; a naive one is Asia/Shanghai."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)).astimezone(UTC)


def cleaned(text: pl.Series) -> pl.Series:
    """Trimmed, half-width, inner blanks single, no invisible or control signs; blank becomes null."""
    if text.null_count() == len(text):
        return text
    # Blanks at the ends are odd signs too: only the few texts that have any are touched.
    odd = np.flatnonzero(
        text.str.contains(
            r"[\s\x{0}-\x{1f}\x{7f}-\x{a0}\x{ad}\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2060}-\x{2069}\x{3000}\x{feff}\x{ff01}-\x{ff5e}\x{f900}-\x{faff}]"
        )
        .fill_null(False)
        .to_numpy()
    )
    plain = text
    if len(odd):
        fixed = plain.gather(odd).str.replace_all(
            r"[\x{0}-\x{8}\x{b}\x{c}\x{e}-\x{1f}\x{7f}-\x{84}\x{86}-\x{9f}\x{ad}\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2060}-\x{2069}\x{feff}]",
            "",
        )
        fixed = fixed.str.normalize("NFKC").str.replace_all(r"\s+", " ").str.strip_chars()
        plain = plain.scatter(odd, fixed)
    return pl.select(pl.when(plain == "").then(None).otherwise(plain)).to_series()


def names(text: pl.Series) -> pl.Series:
    """Names as they are read: `彭 霞` is 彭霞 (the blank only fills the column), one middle dot, 彭霞（学生）without the remark;
    Latin names keep blanks and brackets."""
    plain = cleaned(text)
    if plain.null_count() == len(plain):
        return plain
    odd = np.flatnonzero(plain.str.contains(r"[ •・‧∙⋅．｡●.*()]").fill_null(False).to_numpy())
    if len(odd):
        fixed = plain.gather(odd).str.replace_all(r"[•・‧∙⋅．｡●]", "·")
        fixed = fixed.str.replace_all(r"([\x{3400}-\x{9fff}\x{20000}-\x{3ffff}·])\s+", "$1").str.replace_all(
            r"\s+([\x{3400}-\x{9fff}\x{20000}-\x{3ffff}·])", "$1"
        )
        fixed = fixed.str.replace(r"^([\x{3400}-\x{9fff}\x{20000}-\x{3ffff}·]{2,})\([^()]*\)$", "$1")
        fixed = fixed.str.replace_all(r"([\x{3400}-\x{9fff}])\.([\x{3400}-\x{9fff}])", "$1·$2")
        plain = plain.scatter(odd, fixed)
    return plain


# What people write for "the same as the line above".
DITTO = tuple(
    f"{word}{blank}" for word in ("同上", "〃", "″", "〞", "同前", "同上行", "(同上)", "（同上）", "同 上") for blank in ("", " ")
)


def filled_down(text: pl.Series, kind: pl.Series | None) -> tuple[pl.Series, pl.Series | None]:
    """`同上` as the value of the row above; on the first row it stays what it is. With the kinds of the cells."""
    ditto = text.is_in(DITTO).fill_null(False)
    if not ditto.any():
        return text, kind
    above = pl.select(pl.when(ditto).then(None).otherwise(text.fill_null(""))).to_series().forward_fill()
    if kind is not None:
        kind = pl.select(pl.when(ditto).then(None).otherwise(kind)).to_series().forward_fill()
    return above.fill_null("同上"), kind.fill_null(0) if kind is not None else None
