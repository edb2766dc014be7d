"""What the house itself records: who was refused, and what people say about its pages."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

import re
from uuid import UUID

from django.db import connection

from bihuan.access.action import action
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.regions import queries as regions

TEXT_CHARACTERS_MAX = 500
# Eleven digits of a telephone, fifteen to eighteen of a document: nobody needs them to say what is wrong with a page.
_NUMBER_OF_A_PERSON = re.compile(r"(?<!\d)(?:1[3-9]\d{9}|\d{15}|\d{17}[\dXx])(?!\d)")


@action
def note_denied(*, by, address: str, status: int) -> None:
    """Count a refused request of a post. Anybody's, at any time; refuses nothing."""
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO denied (hour, post, unit, address, status, n, last_at) VALUES (date_trunc('hour', %(now)s::timestamptz), %(post)s, %(unit)s,"
            " %(address)s, %(status)s, 1, %(now)s) ON CONFLICT (hour, post, address, status) DO UPDATE SET n = denied.n + 1, last_at = %(now)s",
            {"now": now, "post": by.id, "unit": by.unit_id, "address": address, "status": status},
        )


def _text(text: str) -> str:
    text = text.replace("\r\n", "\n").strip()
    if not text:
        raise Refused("feedback_empty", "请写几个字再提交。", "Please write a few words first.", "text")
    if len(text) > TEXT_CHARACTERS_MAX:
        raise Refused(
            "feedback_long", f"最多{TEXT_CHARACTERS_MAX}个字，请写短一些。", f"At most {TEXT_CHARACTERS_MAX} characters, please.", "text"
        )
    if _NUMBER_OF_A_PERSON.search(text):
        raise Refused(
            "feedback_personal",
            "请去掉电话和证件号码：意见里不需要写是谁。",
            "Please leave out telephone and document numbers: nobody needs to know who it was.",
            "text",
        )
    return text


@action
def send_feedback(*, by, text: str, page: str, act: UUID) -> None:
    """Say something about a page to the desk above. Safe to repeat. Refuses an empty or long text, and numbers of persons."""
    said = _text(text)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO feedback (act, at, post, unit, desk, page, text, answer) VALUES (%s, %s, %s, %s, %s, %s, %s, '') ON CONFLICT DO NOTHING",
            [act, clock.now(), by.id, by.unit_id, regions.above(by.unit_id, 1), page, said],
        )


@action
def answer_feedback(*, by, feedback: int, text: str) -> None:
    """Answer what was said to one's own desk. Safe to repeat. Refuses what is not there or another's (`feedback_not_found`),
    and a second answer (`feedback_answered`).
    """
    said = _text(text)
    with connection.cursor() as cursor:
        cursor.execute("SELECT answer FROM feedback WHERE id = %s AND desk = %s FOR NO KEY UPDATE", [feedback, by.unit_id])
        row = cursor.fetchone()
        if row is None:
            raise Refused("feedback_not_found", "没有这条意见，或不归您答复。", "There is no such remark, or it is not yours to answer.")
        if row[0] == said:
            return
        if row[0]:
            raise Refused("feedback_answered", "这条意见已经答复过了。", "This remark has been answered already.")
        cursor.execute(
            "UPDATE feedback SET answer = %s, answered_at = %s, answered_by = %s WHERE id = %s", [said, clock.now(), by.id, feedback]
        )
