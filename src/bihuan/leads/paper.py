"""Ticks on paper, entered by number: "3、7、12 已办", "3-9 没人接", "1 到 4 在家 27日". Pure.

What cannot be read is kept with its reason and shown; nothing is guessed: a tick on a verification must say what was found.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from bihuan.kernel.text import halfwidth
from bihuan.leads.loops import RESULT, SAMPLE, VERIFY

# The words that people write, the longest first; "done" means what closes a duty of that kind without further words.
_WORDS = {
    "not_reached": ("没人接", "无人接", "没接", "未接", "打不通", "无法接通", "关机"),
    "wrong_number": ("号码不对", "号码错", "空号", "错号"),
    "will_not_come": ("不来了", "不来"),
    "here": ("人在家", "在家", "已到", "到了"),
    "sampled": ("已采样", "已采", "采了", "采样"),
    "initial_positive": ("初筛阳性", "阳性"),
    "negative": ("阴性",),
    "invalid": ("无效", "重采", "重新采"),
    "gone_on": ("已去", "去了", "去往"),
    "nothing_required": ("不用管", "不用核查"),
    "not_agreed": ("暂未配合", "不配合"),
    "done": ("已办", "办了", "办完", "办好", "完成", "√", "✓", "对勾"),
}
_BY_WORD = sorted(((word, verb) for verb, words in _WORDS.items() for word in words), key=lambda pair: -len(pair[0]))
_DONE = {SAMPLE.name: "sampled", VERIFY.name: "here"}
# A number that belongs to a day (27日, 8月) is none of the list. 号 is a row, never a day: 4号 would be both.
_NUMBER = r"(?<!\d)\d{1,5}(?!\d|\s*[月日])"
_RANGE = rf"{_NUMBER}(?:\s*(?:-|–|—|~|到|至)\s*{_NUMBER})?"
_DAY = r"(?:\d{1,2}\s*月\s*)?\d{1,2}\s*日"
_CLAUSE = re.compile(rf"((?:第?\s*{_RANGE}\s*号?\s*(?:[、.和及]|\s)*)+)((?:[^\d]|{_DAY})*)")


@dataclasses.dataclass(frozen=True)
class Ticks:
    """What was written: numbers (from 1) with what is said of each, and what could not be read (where, code)."""

    said: dict[int, dict[str, Any]]
    unread: list[dict[str, str]]


def read(text: str, kinds: Sequence[str], today: date, since: date | None = None) -> Ticks:
    """What the ticks say of the rows of a list; `kinds`: the kind of duty of each row, `since`: the day for "at home" without one."""
    said: dict[int, dict[str, Any]] = {}
    unread: list[dict[str, str]] = []
    for line in re.split(r"[\n;；。]", halfwidth(text).replace(",", "、")):
        at = 0
        for clause in _CLAUSE.finditer(line):
            _skipped(line[at : clause.start()], unread)
            at = clause.end()
            _clause(clause[1], clause[2].strip(), kinds, today, since, said, unread)
        _skipped(line[at:], unread)
    return Ticks(said, unread)


def _skipped(text: str, unread: list[dict[str, str]]) -> None:
    if text.strip(" 、,.，。"):
        unread.append({"at": text.strip()[:40], "code": "answer_unclear"})


def _clause(
    numbers: str,
    words: str,
    kinds: Sequence[str],
    today: date,
    since: date | None,
    said: dict[int, dict[str, Any]],
    unread: list[dict[str, str]],
) -> None:
    for number in _numbers(numbers):
        where = {"at": f"{number} {words}".strip()[:40]}
        if not 1 <= number <= len(kinds):
            unread.append(where | {"code": "number_unknown"})
        elif number in said:
            unread.append(where | {"code": "number_twice"})
        else:
            entry = _entry(words, kinds[number - 1], today, since)
            if entry is None:
                unread.append(where | {"code": "answer_unclear"})
            else:
                said[number] = dict(entry) | {"cell": str(number)}


def _numbers(text: str) -> list[int]:
    found = []
    for first, last in re.findall(r"(\d+)(?:\s*[-–—~到至]\s*(\d+))?", text):
        end = int(last) if last else int(first)
        found += list(range(int(first), min(end, int(first) + 10_000) + 1)) if end >= int(first) else [int(first), end]
    return found


def _entry(words: str, kind: str, today: date, since: date | None) -> Mapping[str, Any] | None:
    word, verb = next(((word, verb) for word, verb in _BY_WORD if word in words), ("", ""))
    if verb == "done":
        verb = _DONE.get(kind, "")
    if not verb or (kind == RESULT.name and verb == "here"):
        return None
    rest = words.replace(word, "", 1).strip(" 、,:：()（）")
    if verb == "here":
        day = _day(rest, today) or since
        return {"verb": verb, "since": day.isoformat() if day else None}
    if verb == "gone_on":
        return {"verb": verb, "destination": rest}
    return {"verb": verb, "reason": rest} if verb in ("nothing_required", "not_agreed") else {"verb": verb}


def _day(text: str, today: date) -> date | None:
    """27日, 8月27日, 昨天: the last such day that is not still to come."""
    for word, back in (("今天", 0), ("昨天", 1), ("前天", 2)):
        if word in text:
            return today - timedelta(days=back)
    found = re.search(r"(?:(\d{1,2})\s*月\s*)?(\d{1,2})\s*日", text)
    if not found:
        return None
    for back in range(370):
        day = today - timedelta(days=back)
        if day.day == int(found[2]) and (not found[1] or day.month == int(found[1])):
            return day
    return None
