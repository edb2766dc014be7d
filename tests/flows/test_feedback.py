"""意见建议: a village says something about a page, the desk above answers, the village reads it, nobody else does."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

import re

import pytest
from tests.attacks.world import client, said

from bihuan.kernel import ids


@pytest.fixture
def villages(city):
    return client("cun"), client("zhen"), client("xian")


def test_a_remark_and_its_answer(villages, as_role):
    village, desk, other = villages
    form = said(village.get("/feedback?from=/duties"))
    assert 'href="/feedback?from=%2Fduties"' in said(village.get("/duties"))
    sent = {"act": str(ids.new_id()), "from": "/leads/0190aaaa-bbbb-7ccc-8ddd-eeeeffff0001", "text": "打电话那一页字太小"}
    assert "最多 500 个字" in form
    for _ in range(2):  # sent twice is one
        assert village.post("/feedback", sent).status_code == 302
    asked = said(desk.get("/feedback"))
    assert asked.count("打电话那一页字太小") == 1
    assert "0190aaaa" not in asked
    with as_role("superuser") as db:
        assert db.execute("SELECT page FROM feedback").fetchall() == [("/leads/<uuid:lead>",)], "which page, without whose"
    assert "打电话那一页字太小" not in said(other.get("/feedback"))
    no = re.search(r"/feedback/(\d+)/answer", asked)[1]
    assert other.post(f"/feedback/{no}/answer", {"text": "不是我的"}).status_code == 404
    assert village.post(f"/feedback/{no}/answer", {"text": "自己答"}).status_code == 404
    for _ in range(2):
        assert desk.post(f"/feedback/{no}/answer", {"text": "页脚有“大字”，点一下"}).status_code == 302
    assert desk.post(f"/feedback/{no}/answer", {"text": "改口"}).status_code == 422
    assert "页脚有“大字”，点一下" in said(village.get("/feedback"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (" ", "feedback_empty"),
        ("字" * 501, "feedback_long"),
        ("王小明 13800000001 打不通", "feedback_personal"),
        ("320723199001011234", "feedback_personal"),
    ],
)
def test_what_is_no_remark_is_refused_with_a_reason(villages, text, code):
    answer = villages[0].post("/feedback", {"act": str(ids.new_id()), "text": text})
    assert answer.status_code == 422
    assert code in said(answer)
    assert "还没有说过什么" in said(villages[0].get("/feedback"))
