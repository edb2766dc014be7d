"""A village's morning on a telephone, a desk's on a screen, a list by page; by touch and by keyboard alone."""

from __future__ import annotations

import re

import pytest
from tests.browser.made_up import HEAD, line
from tests.morning import take_in

from bihuan.intake import jobs
from bihuan.leads import standing


def scrolls_sideways(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")


def due(page) -> int:
    return page.locator("tbody tr").count()


def open_act(page, no: int = 0) -> None:
    page.locator("tbody tr").nth(no).locator("td.name a").click()
    go_on = page.locator("a.button.main", has_text="办理")
    go_on.wait_for()
    left = page.locator("main table [data-due]").first  # what is left of the time stands there on a telephone, too
    assert left.bounding_box()["x"] + left.bounding_box()["width"] <= page.viewport_size["width"]
    go_on.click()
    page.wait_for_selector(".outcomes")
    assert not scrolls_sideways(page)


def test_signing_in_and_out(five, sign_in, live_server):
    page = sign_in("cun", 360, 740)
    assert page.url.endswith("/duties")
    assert not scrolls_sideways(page)
    page.locator("summary", has_text="账号").click()
    page.get_by_role("button", name="退出登录").click()
    page.wait_for_url("**/sign-in")
    page.goto(f"{live_server.url}/duties")
    assert "/sign-in" in page.url
    page.fill("#id_login", "cun")
    page.fill("#id_password", "wrong")
    page.get_by_role("button", name="登录").click()
    assert page.locator("[data-errors]").inner_text().count("账号、密码或验证码不对") == 1


def test_a_village_works_through_five_people_on_a_telephone(five, sign_in):
    page = sign_in("cun", 360, 740)
    assert due(page) == 5
    assert "今天要办 5 件" in re.sub(r"\s+", " ", page.locator("h1").inner_text())
    for box in page.locator("td.go a").all():
        assert min(box.bounding_box()["width"], box.bounding_box()["height"]) >= 44

    # 1: the green telephone dials and brings the page with the answers; at home, arrived yesterday, no treatment: three taps.
    page.locator("td.go a.call").first.click()
    page.wait_for_selector(".outcomes")
    # All five are due together; whose line stands first is as good as any other.
    assert re.fullmatch("tel:1380000000[1-5]", page.evaluate("sessionStorage.dialled"))
    assert "为您保留到 8:15" in page.locator("main").inner_text()
    page.locator("label[for=o-at_home]").click()
    page.get_by_role("button", name="不用去").click()
    page.wait_for_url("**/duties")
    assert "已保存：人在家" in page.locator(".toast").inner_text()
    assert page.get_by_text("安排采样").count() == 1

    # Taken back within the ten seconds, and done again.
    page.locator(".toast button").click()
    page.wait_for_selector("text=已撤回")
    assert page.get_by_text("安排采样").count() == 0
    open_act(page)
    page.locator("label[for=o-at_home]").click()
    page.locator("label[for=t-yes]").click()
    page.fill("#treatment_note", "周二透析")
    page.get_by_role("button", name="保存").last.click()
    page.wait_for_url("**/duties")

    # 2: not here yet; the clock counts from the arrival.
    verify = page.locator("tbody tr", has_text="打电话")
    verify.first.locator("td.name a").click()
    page.locator("a.button.main", has_text="办理").click()
    page.locator("label[for=o-not_here_yet]").click()
    page.locator("label[for=ahead-2]").click()
    page.get_by_role("button", name="保存，到那天再打").click()
    page.wait_for_url("**/duties")
    assert page.locator("tbody tr", has_text="8月29日").count() == 1

    # 3: wrong number; 4: nobody answers: both stay.
    for answer in ("号码不对", "没人接"):
        fresh = page.locator("tbody tr", has_text="打电话").filter(has_not_text="已打")
        fresh.first.locator("td.name a").click()
        page.locator("a.button.main", has_text="办理").click()
        page.locator(".outcomes button", has_text=answer).click()
        page.wait_for_url("**/duties")
    assert page.locator("tbody tr", has_text="已打 1 次").count() == 3

    # 5: gone on to another city: it leaves this village's list, and the liaison desk answers for it.
    page.locator("tbody tr", has_text="打电话").filter(has_not_text="已打").first.locator("td.name a").click()
    page.locator("a.button.main", has_text="办理").click()
    page.locator("label[for=o-gone_on]").click()
    page.fill("#went_to", "徐州市铜山区")
    page.get_by_role("button", name="保存，转给那边").click()
    page.wait_for_url("**/duties")
    assert due(page) == 4
    assert not scrolls_sideways(page)


def test_a_refused_answer_says_what_is_missing(five, sign_in, live_server):
    page = sign_in("cun", 360, 740)
    open_act(page)
    page.locator("label[for=o-gone_on]").click()
    page.fill("#went_on", "2022-08-27")
    page.get_by_role("button", name="保存，转给那边").click()
    errors = page.locator("[data-errors]")
    assert "请填写去了哪个城市" in errors.inner_text()
    assert page.evaluate("document.activeElement.hasAttribute('data-errors')")
    # What was chosen and typed is still there, and no word of the program is.
    assert page.locator("#went_to").is_visible()
    assert page.input_value("#went_on") == "2022-08-27"
    assert "destination_missing" not in page.locator("body").inner_text()
    assert errors.locator("[data-code=destination_missing]").count() == 1
    page.goto(f"{live_server.url}/overview")
    assert "报修时请念这个代码" in page.locator("main").inner_text()
    assert not re.search("[a-z]", page.locator("main").inner_text())


def test_after_a_call_all_answers_stand_on_one_screen(five, sign_in):
    page = sign_in("cun", 360, 640)
    page.locator("td.go a.call").first.click()
    page.wait_for_selector(".outcomes")
    page.wait_for_function("scrollY > 0")
    for answer in ("label[for=o-at_home]", "label[for=o-nothing_required]"):
        box = page.locator(answer).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 640
    assert "可以这样说" in page.locator("[data-called] summary").inner_text()


def test_nothing_in_the_head_of_a_page_is_cut_off(five, sign_in):
    cut = """[...document.querySelectorAll('header.top *')]
        .filter((e) => e.getClientRects().length && !e.closest('.seen-by-ear, .skip, .menu-body'))
        .filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'visible')
        .map((e) => e.className)"""
    page = sign_in("console")
    for width in (1440, 1280, 1024, 360):
        page.set_viewport_size({"width": width, "height": 640})
        assert page.evaluate(cut) == []
        assert page.locator(".brand").bounding_box()["height"] <= 45
        assert not scrolls_sideways(page)
        for tab in page.locator("nav.tabs a").all():
            box = tab.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width


def test_a_list_by_page_with_its_accounts(db, sign_in, acting):
    page = sign_in("baosong")
    page.goto(page.url.rstrip("/").rsplit("/", 1)[0] + "/intake/upload")
    text = (
        HEAD + "".join(line(n) for n in range(1, 8)) + line(1) + "王小明,32072319900101123X,13800000099,上海市,2022-08-27,连云港市连云区\n"
    )
    page.set_input_files("#file", {"name": "单位名单.csv", "mimeType": "text/csv", "buffer": text.encode()})
    page.get_by_role("button", name="上传并检查").click()
    assert page.url.endswith("/upload")  # the statement on classified files is not ticked: the browser does not send
    page.locator("input[name=unclassified]").check()
    page.get_by_role("button", name="上传并检查").click()
    page.wait_for_selector("text=排队中")
    page.goto(page.url)  # one may leave and come back
    with acting("work"):
        jobs.process_waiting()
    page.wait_for_selector(".sum", timeout=10_000)
    figures = [int(v) for v in page.locator(".sum .value").all_inner_texts()]
    assert figures == [9, 7, 0, 0, 1, 1]
    assert figures[0] == sum(figures[1:])
    page.locator(".sum a", has_text="退回").click()
    assert page.locator("table.lines tbody tr").count() == 1
    assert "C10" in page.locator("main").inner_text() or "B10" in page.locator("main").inner_text()
    with page.expect_download() as download:
        page.get_by_role("link", name="下载标出问题的原表").click()
    assert download.value.suggested_filename.endswith(".xlsx")


def test_a_desk_works_by_keyboard_alone(five, sign_in):
    """From the list: filters, selection, the sheet beside the list, an answer, the next person."""
    page = sign_in("cun")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"

    def tab_to(condition: str, most: int = 80) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate(f"(() => {{ const e = document.activeElement; return {condition}; }})()"):
                return
        pytest.fail(f"no {condition} by keyboard")

    tab_to("e.matches('td.name a')")
    page.keyboard.press("Enter")
    page.wait_for_url("**/leads/*")
    tab_to("e.matches('a.button.main')")
    page.keyboard.press("Enter")
    page.wait_for_url("**/act")
    tab_to("e.id === 'o-at_home' || e.name === 'outcome'")
    page.keyboard.press("Space")
    assert page.evaluate("document.activeElement.checked")
    tab_to("e.matches('button[name=treatment][value=no]')")
    page.keyboard.press("Enter")
    page.wait_for_url("**/duties")
    assert page.get_by_text("安排采样").count() == 1
    tab_to("e.matches('.toast button')")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=已撤回")


def test_a_desk_accepts_and_reassigns_in_the_batch_bar(five, sign_in):
    page = sign_in("zhen")
    page.goto(page.url + "?state=all")
    page.locator("input[name=loop]").nth(0).check()
    page.locator("input[name=loop]").nth(1).check()
    assert page.locator(".batch [data-picked]").first.inner_text() == "2"
    page.locator(".batch summary", has_text="改派").click()
    page.locator("select[name=to_unit]").select_option(label="跃进社区居委会")
    page.locator(".batch .menu-body button", has_text="改派").click()
    page.wait_for_selector(".toast")
    assert "已改派 2 件" in page.locator(".toast").inner_text()
    assert page.locator("tbody tr", has_text="跃进社区居委会").count() == 2
    page.locator(".toast button").click()
    page.wait_for_selector("text=已撤回")
    assert page.locator("tbody tr", has_text="跃进社区居委会").count() == 0


def test_the_sheet_beside_the_list_saves_and_shows_the_next(db, sign_in):
    text = HEAD + "".join(f"赵小{c},,1390000000{n},上海市,2022-08-27 10:00,连云港市灌云县\n" for n, c in enumerate("一二三"))
    take_in("c.csv", text.encode(), "data")
    page = sign_in("xian")
    assert due(page) == 3
    page.locator("td.go a").first.click()
    page.wait_for_selector("dialog[open] .outcomes")
    page.locator("dialog label[for=o-at_home]").click()
    page.locator("dialog button", has_text="不用去").click()
    page.wait_for_selector("dialog >> text=已保存：人在家")
    assert page.locator("dialog a.button.main", has_text="下一位").count() == 1
    page.locator("#work tbody tr", has_text="安排采样").wait_for(state="attached")
    assert due(page) == 3


def test_an_overview_on_a_telephone_and_in_english(five, sign_in, acting):
    with acting("work"):
        standing.count()
    page = sign_in("zhen", 360, 740)
    page.get_by_role("link", name="概览").click()
    page.wait_for_url("**/overview")
    assert not scrolls_sideways(page)
    # Late and help are what a head looks for: no number lies beyond the edge.
    assert all(
        box.bounding_box()["x"] + box.bounding_box()["width"] <= 360
        for box in page.locator("table.units tr td.n").all()
        if box.is_visible()
    )
    figure = page.locator(".figures a", has_text="在管")
    n = figure.locator(".value").inner_text()
    figure.click()
    page.wait_for_url("**/list?**")
    assert page.locator("tbody tr").count() == int(n) == 5
    page.get_by_role("button", name="English").click()
    page.wait_for_selector("text=My work")
    assert page.locator("html").get_attribute("lang") == "en"
    assert not scrolls_sideways(page)


def test_a_network_that_fails_takes_no_answer_away(five, sign_in):
    page = sign_in("cun", 360, 640)
    open_act(page)
    page.locator("label[for=o-gone_on]").click()
    page.fill("#went_to", "徐州市铜山区")
    page.context.set_offline(True)
    page.get_by_role("button", name="保存，转给那边").click()
    page.wait_for_selector("[role=alert] >> text=按两次也只算一次")
    assert page.input_value("#went_to") == "徐州市铜山区"
    page.context.set_offline(False)
    page.get_by_role("button", name="保存，转给那边").click()
    page.wait_for_url("**/duties")
    assert "已保存：已去别处" in page.locator(".toast").inner_text()
    assert due(page) == 4

    # The sign-in ended meanwhile: that nothing was saved is said at the door.
    open_act(page)
    page.context.clear_cookies(name="sessionid")
    page.locator(".outcomes button", has_text="没人接").click()
    page.wait_for_url("**/sign-in*")
    assert "刚才点的没有保存" in page.locator("main").inner_text()


def test_a_slow_answer_says_that_it_is_under_way(five, sign_in):
    import time

    page = sign_in("cun", 360, 640)
    open_act(page)
    page.route("**/act", lambda route: (time.sleep(1.5), route.continue_()))
    page.locator(".outcomes button", has_text="没人接").click()
    page.wait_for_selector("[role=status] >> text=正在保存")
    page.wait_for_url("**/duties")
    assert "已保存：没人接" in page.locator(".toast").inner_text()


def test_what_does_not_open_without_a_network_says_so(five, sign_in):
    page = sign_in("zhen")
    page.goto(page.url + "?state=all")
    page.context.set_offline(True)
    page.locator("td.go a").first.click()
    page.wait_for_selector("main > [role=alert] >> text=连不上")
    page.context.set_offline(False)
    page.locator("td.go a").first.click()
    page.wait_for_selector("dialog[open] .outcomes")
    assert page.get_by_text("连不上，这一页没有变").count() == 0


def test_a_sample_is_recorded_in_the_sheet_and_a_refused_one_says_why(five, sign_in):
    page = sign_in("cun", 360, 640)
    open_act(page)
    page.locator("label[for=o-at_home]").click()
    page.get_by_role("button", name="不用去").click()
    page.wait_for_url("**/duties")
    page.locator("tbody tr", has_text="安排采样").locator("td.go a").click()
    page.wait_for_selector("dialog[open] form")
    page.fill("dialog input[type=datetime-local]", "2022-08-29T10:00")
    page.locator("dialog button.main").click()
    page.wait_for_selector("main [data-errors]")  # no sample of tomorrow; the page itself shows the reason, not the sheet before it
    assert page.locator("dialog[open]").count() == 0
    page.fill("main input[type=datetime-local]", "")
    page.locator("main button.main").click()
    page.wait_for_url("**/duties")
    assert "已保存：" in page.locator(".toast").inner_text()


def test_on_an_older_screen_a_line_of_work_stays_a_line(five, sign_in):
    """The people are on four kinds of lists: their names may not push the act into a column of single characters."""
    from tests.browser.made_up import HEAD as head

    for source in ("data", "unit", "telecom"):
        take_in(f"{source}.csv", (head + "".join(line(n) for n in range(1, 6))).encode(), source)
    page = sign_in("zhen", 1024, 768)
    page.goto(page.url + "?state=all")
    rows = [row.bounding_box()["height"] for row in page.locator("#work tbody tr").all()]
    assert len(rows) == 5
    assert max(rows) <= 80
    assert not scrolls_sideways(page)
