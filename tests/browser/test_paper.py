"""A list printed by the browser: A4, big type, a box and a number for each person, the list's number on every page."""

from __future__ import annotations

import io
import re

import pypdf
import pytest
from tests.browser.made_up import HEAD, line
from tests.browser.test_morning import scrolls_sideways
from tests.morning import take_in

N = 40
A4 = (595, 842)  # points


@pytest.fixture
def forty(db):
    take_in("a.csv", (HEAD + "".join(line(n) for n in range(1, N + 1))).encode(), "community")


def test_a_list_prints_and_comes_back_by_number_on_a_telephone(forty, sign_in):
    page = sign_in("cun", 360, 740)
    page.get_by_role("button", name="打印清单").click()
    page.wait_for_url("**/paper")
    code = page.locator(".paper-code b").inner_text()
    paper = pypdf.PdfReader(io.BytesIO(page.pdf(format="A4", prefer_css_page_size=True)))
    texts = [sheet.extract_text() for sheet in paper.pages]
    assert len(texts) > 1
    assert all(abs(float(side) - a4) < 2 for sheet in paper.pages for side, a4 in zip(sheet.mediabox[2:], A4, strict=True))
    assert [code in text for text in texts] == [True] * len(texts)
    rows = [int(n) for text in texts for n in re.findall(r"^(\d{1,2})(?: |$)", text, re.M)]
    assert [n for n in range(1, N + 1) if n not in rows] == []
    assert "1380000" not in "".join(texts)

    sizes: list[float] = []
    paper.pages[0].extract_text(
        visitor_text=lambda text, cm, tm, font, size: sizes.append(size * abs(tm[3] * cm[3])) if text.strip() else None
    )
    assert min(sizes) >= 10  # points: read at arm's length
    page.goto(page.url.replace("/paper", ""))
    assert not scrolls_sideways(page)
    page.fill("#ticks", "1、2 人在家 27日；3-5 没人接")
    page.locator("form:has(#ticks) button").click()
    page.wait_for_url("**/plans/*")
    assert not scrolls_sideways(page)
    page.get_by_role("button", name="办这 5 件").press("Enter")
    page.wait_for_selector(".toast")
    assert "已办 5 件" in page.locator(".toast").inner_text()
    page.locator(".toast button").click()
    page.wait_for_selector("text=已全部撤回")
