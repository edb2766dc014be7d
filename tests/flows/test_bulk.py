"""Many at once, from the list to the undo; back from paper; back from a workbook. Through the pages."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from tests.flows.test_pages import BANQIAO, HEAD, YANGJI, client, page, row
from tests.morning import count, take_in

from bihuan.access import queries as access
from bihuan.kernel import clock, ids
from bihuan.leads import actions
from bihuan.leads.duty_lists import code

N = 12  # people in 板桥社区, as many as a page of paper


@pytest.fixture
def lists(city):
    text = HEAD + "".join(row(n, BANQIAO) for n in range(1, N + 1)) + "".join(row(n, YANGJI) for n in range(21, 24))
    take_in("a.csv", text.encode(), "community")


def frozen(desk: Client, **fields) -> str:
    """The address of the list that the whole filter, or the chosen duties, became."""
    answer = desk.post("/lists", {"act": ids.new_id(), "which": "all", **fields})
    assert answer.status_code == 302, answer.content.decode()[:1500]
    return answer["Location"]


def planned(desk: Client, url: str, **fields) -> str:
    answer = desk.post(f"{url}/plan", {"act": ids.new_id(), **fields})
    assert answer.status_code == 302, answer.content.decode()[:1500]
    return answer["Location"]


def factor(as_role, shown: bool = True) -> None:
    """Everybody who has signed in has just shown a second factor, or did so long ago."""
    with as_role("superuser") as db:
        assert db.execute("UPDATE sign_in SET second_at = %s", (clock.real_now() - timedelta(days=not shown),)).rowcount


def figures(html: str) -> list[int]:
    """Will be done (was done), stays, cannot be done."""
    return [int(n.replace(",", "")) for n in re.findall(r'<span class="value number">([\d,]+)</span>', html)[:3]]


def open_duties(as_role, kind: str) -> int:
    with as_role("work") as db:
        return count(db, "SELECT count(*) FROM loop WHERE closed_at IS NULL AND kind = %s", kind)


def what_stands(as_role) -> list:
    """Duties as the officers see them: not their numbers, since a duty owed again is a new one."""
    with as_role("work") as db:
        return db.execute(
            "SELECT kind, subject, key, owner, assignee, offered_to, scope FROM loop WHERE closed_at IS NULL ORDER BY 1, 2, 3, 4"
        ).fetchall()


def sound(as_role) -> None:
    from bihuan.loops import verify

    assert verify.verify().ok


def test_a_whole_list_is_answered_at_once_and_taken_back_as_one(lists, as_role, acting):
    desk, before = client("console"), what_stands(as_role)
    url = frozen(desk, state="all")
    plan = planned(desk, url, verb="here", since="2022-08-27", medical="none")
    html = page(desk, plan)
    assert figures(html) == [N + 3, 0, 0]
    assert "办结“核查” 15 件" in html
    assert "接着要办“采样” 15 件" in html
    assert what_stands(as_role) == before  # a plan changes nothing

    done = desk.post(plan)
    assert done["Location"] == plan
    assert (open_duties(as_role, "leads.verify"), open_duties(as_role, "leads.sample")) == (0, N + 3)
    assert figures(page(desk, plan)) == [N + 3, 0, 0]
    desk.post(plan)  # the answer was lost: the same act again
    with as_role("work") as db:
        assert count(db, "SELECT count(*) FROM lead_verified") == N + 3
        assert count(db, "SELECT count(DISTINCT medical_need) FROM lead_verified") == 1

    undone = desk.post(f"/undo/{plan.rsplit('/', 1)[1]}")
    assert undone.status_code == 302
    assert what_stands(as_role) == before
    assert "已经撤回" in page(desk, plan)
    desk.post(f"/undo/{plan.rsplit('/', 1)[1]}")
    assert what_stands(as_role) == before
    with acting("work"):
        sound(as_role)


def test_rows_that_may_not_change_say_why_and_the_others_are_done(lists, as_role):
    desk, village = client("console"), access.post_of("cun")
    url = frozen(desk, state="all")
    with as_role("work") as db:
        first, second = [r[0] for r in db.execute("SELECT id FROM lead WHERE desk = %s ORDER BY id LIMIT 2", (village.unit_id,)).fetchall()]
    # Meanwhile the village has settled one and is on the telephone with another.
    actions.verify(by=village, lead=first, outcome="here", here_since=clock.today(), medical_need="none", fact_id=ids.new_id())
    actions.start_call(by=village, lead=second, fact_id=ids.new_id())
    plan = planned(desk, url, verb="here", since="2022-08-27")
    html = page(desk, plan)
    assert figures(html) == [N + 1, 0, 2]
    assert "这期间已有别人办结" in html
    assert "别人正在打这个电话" in html
    both = page(desk, f"{plan}?show=closed_meanwhile")
    assert "人在家，8月27日到的" in both  # what is said now
    assert re.search(r"\d\d:\d\d 板桥社区\S* 人在家，8月28日到的", both)  # and what the village said
    desk.post(plan)
    assert figures(page(desk, plan)) == [N + 1, 0, 2]
    assert open_duties(as_role, "leads.verify") == 1


def test_an_undo_leaves_what_somebody_has_worked_on_since(lists, as_role, acting):
    desk, village = client("console"), access.post_of("cun")
    plan = planned(desk, frozen(desk, state="all"), verb="here", since="2022-08-27", medical="none")
    desk.post(plan)
    with as_role("work") as db:
        lead = db.execute("SELECT id FROM lead WHERE desk = %s LIMIT 1", (village.unit_id,)).fetchone()[0]
    actions.sample(by=village, lead=lead, fact_id=ids.new_id())
    answer = desk.post(f"/undo/{plan.rsplit('/', 1)[1]}", follow=True)
    assert "撤回了 14 件；1 件后面已有办理" in unescape(answer.content.decode())
    assert (open_duties(as_role, "leads.verify"), open_duties(as_role, "leads.result")) == (N + 2, 1)
    with acting("work"):
        sound(as_role)


def test_a_filter_is_fixed_when_the_list_is_made(lists, as_role):
    desk = client("console")
    url = frozen(desk, state="all", kind="leads.verify")
    take_in("b.csv", (HEAD + row(40, BANQIAO)).encode(), "community")
    assert figures(page(desk, planned(desk, url, verb="not_reached"))) == [N + 3, 0, 0]
    assert figures(page(desk, planned(desk, frozen(desk, state="all", kind="leads.verify"), verb="not_reached"))) == [N + 4, 0, 0]


MOVES = {
    "reassign": ("shi", {"unit": "zhen", "why": "人手不够"}),
    "offer": ("cun", {"why": "住在邻村"}),
    "return": ("cun", {"reason": "not_ours"}),
    "assign": ("cun", {"officer": "cun"}),
    "waive": ("shi", {"why": "名单重复下发"}),
}


@pytest.mark.parametrize("verb", MOVES)
def test_duties_change_hands_together_and_come_back(lists, as_role, acting, verb):
    login, fields = MOVES[verb]
    post = access.post_of(login)
    fields = dict(fields)
    if "officer" in fields:
        fields["officer"] = post.officer_id
    if verb == "reassign":
        fields["unit"] = access.post_of("zhen").unit_id
    if verb == "offer":
        with as_role("work") as db:
            fields["unit"] = db.execute(
                "SELECT u.id FROM unit u JOIN unit me ON me.parent_id = u.parent_id"
                " WHERE me.id = %s AND u.kind = 'village' AND u.id <> me.id LIMIT 1",
                (post.unit_id,),
            ).fetchone()[0]
    desk, before = client(login), what_stands(as_role)
    url = frozen(desk, state="all")
    plan = planned(desk, url, verb=verb, **fields)
    n = figures(page(desk, plan))[0]
    assert n == (N if login == "cun" else N + 3)
    desk.post(plan)
    after = what_stands(as_role)
    assert after != before
    assert figures(page(desk, plan)) == [n, 0, 0]
    desk.post(f"/undo/{plan.rsplit('/', 1)[1]}")
    assert what_stands(as_role) == before
    with acting("work"):
        sound(as_role)


def test_what_changed_hands_meanwhile_is_left(lists, as_role):
    desk, village = client("console"), access.post_of("cun")
    plan = planned(desk, frozen(desk, state="all"), verb="reassign", unit=access.post_of("zhen").unit_id, why="人手不够")
    with as_role("work") as db:
        loops = [r[0] for r in db.execute("SELECT id FROM loop WHERE owner = %s ORDER BY id LIMIT 2", (village.unit_id,)).fetchall()]
    actions.give_back(by=village, loops=loops, reason="不住我们这里", act=ids.new_id())
    desk.post(plan)
    assert figures(page(desk, plan)) == [N + 1, 0, 2]
    assert "刚有移交或改派" in page(desk, plan)


def test_a_killed_act_is_gone_on_with(lists, as_role, monkeypatch):
    """Parts that were done stay done and are not done again; the whole is still taken back as one."""
    from bihuan.leads import bulk

    monkeypatch.setattr(bulk, "PART_MAX", 4)
    desk, before = client("console"), what_stands(as_role)
    plan = planned(desk, frozen(desk, state="all"), verb="here", since="2022-08-27")
    act, real = plan.rsplit("/", 1)[1], bulk.do_part

    def dies(*, no, **more):
        if no == 3:
            raise RuntimeError("killed")
        return real(no=no, **more)

    monkeypatch.setattr(bulk, "do_part", dies)
    with pytest.raises(RuntimeError):
        desk.post(plan)
    assert open_duties(as_role, "leads.sample") == 8
    monkeypatch.setattr(bulk, "do_part", real)
    assert "接着办" in page(desk, plan)
    desk.post(plan)
    assert open_duties(as_role, "leads.sample") == N + 3
    with as_role("work") as db:
        assert count(db, "SELECT count(*) FROM lead_verified") == N + 3
    desk.post(f"/undo/{act}")
    assert what_stands(as_role) == before


def test_an_offer_to_a_unit_of_the_same_level_is_accepted_there(lists, as_role):
    village, township = client("cun"), access.post_of("zhen")
    url = frozen(village)
    assert "移交给哪个单位" in page(village, url)
    near = re.search(r'<select id="unit".*?</select>', page(village, url), re.S)[0]
    far = re.search(r'<select id="unit".*?</select>', page(village, f"{url}?unit=镇东"), re.S)[0]
    assert "板桥街道" in near
    assert "镇东村" not in near
    assert "镇东村" in far
    plan = planned(village, url, verb="offer", unit=township.unit_id, why="请代为核查")
    village.post(plan)
    desk = client("zhen")
    taken = planned(desk, frozen(desk, state="offered"), verb="accept")
    assert figures(page(desk, taken)) == [N, 0, 0]
    desk.post(taken)
    with as_role("work") as db:
        assert count(db, "SELECT count(*) FROM loop WHERE closed_at IS NULL AND owner = %s", township.unit_id) == N


def test_many_are_waived_only_with_a_second_signature(city, as_role):
    text = HEAD + "".join(row(n, BANQIAO) for n in range(1, 26))
    take_in("a.csv", text.encode(), "community")
    first, second = client("console"), client("shi")
    plan = planned(first, frozen(first, state="all"), verb="waive", why="名单重复下发")
    assert "请第二人签字" in page(first, plan)
    first.post(plan)
    assert open_duties(as_role, "leads.verify") == 25
    assert "等第二人签字" in page(first, plan)
    first.post(plan)  # the same person cannot be the second one
    assert open_duties(as_role, "leads.verify") == 25
    assert plan in page(second, "/duties")
    second.post(plan)
    assert open_duties(as_role, "leads.verify") == 0
    with as_role("work") as db:
        by = access.post_of("shi").officer_id
        facts = (
            "SELECT count(*) FROM fact f JOIN handled h ON h.fact = f.id WHERE f.kind = 'loops.waived' AND f.\"by\" = %s AND h.reason = %s"
        )
        assert count(db, facts, by, "名单重复下发（指挥中心值班员提出）") == 25
    assert client("cun").post(plan).status_code == 404


def test_lists_and_plans_are_the_units_own(lists):
    desk, village = client("console"), client("cun")
    url = frozen(desk, state="all")
    plan = planned(desk, url, verb="not_reached")
    for theirs in (url, f"{url}/paper"):
        assert village.get(theirs).status_code in (404, 409)
    assert village.get(plan).status_code == 404
    assert village.post(plan).status_code == 404
    assert village.post(f"{url}/plan", {"act": ids.new_id(), "verb": "not_reached"}).status_code in (404, 409)


def test_a_village_may_not_waive_and_a_list_sender_sees_no_list(lists):
    village = client("cun")
    url = frozen(village)
    assert 'value="waive"' not in page(village, url)
    assert village.post(f"{url}/plan", {"act": ids.new_id(), "verb": "waive", "why": "x"}).status_code == 403
    for url in ("/lists", "/lists/1", "/lists/1/paper"):
        assert client("baosong").get(url).status_code == 403


# --- paper ------------------------------------------------------------------------------------------------------------


def test_ticks_on_paper_come_back_by_number(lists, as_role):
    village = client("cun")
    paper = frozen(village, go="paper")
    html = page(village, paper)
    url = paper.removesuffix("/paper")
    assert f'<b class="number">{code(int(url.rsplit("/", 1)[1]))}</b>' in html
    numbers = [int(n) for n in re.findall(r'<td class="order number">(\d+)</td>', html)]
    assert numbers == list(range(1, N + 1))
    plan = planned(village, url, verb="ticks", ticks="3、7、12 已办；4-6号 没人接，8 人在家 26日、40 没人接、9 打了", since="2022-08-27")
    html = page(village, plan)
    assert figures(html) == [7, 0, 2]
    assert "40 没人接" in html
    assert "这个编号不在这份清单里" in html
    village.post(plan)
    with as_role("work") as db:
        loops = [r[0] for r in db.execute("SELECT unnest(loops) FROM duty_list").fetchall()]
        since = dict(
            db.execute(
                "SELECT array_position(%s::bigint[], l.id), v.here_since::text FROM lead_verified v JOIN loop l ON l.closed_by = v.fact",
                (loops,),
            ).fetchall()
        )
        assert since == {3: "2022-08-27", 7: "2022-08-27", 12: "2022-08-27", 8: "2022-08-26"}
        assert count(db, "SELECT count(*) FROM contact_tried WHERE outcome = 'not_reached'") == 3


def test_a_list_with_whole_names_says_what_for_and_leaves_a_trace(lists, as_role):
    village = client("cun")
    url = frozen(village)
    assert "13800000001" not in page(village, f"{url}/paper")
    factor(as_role, shown=False)
    asked = village.post(f"{url}/paper", {"act": ids.new_id(), "purpose": "visit"})
    assert asked["Location"].startswith("/second-factor")
    factor(as_role)
    assert village.post(f"{url}/paper", {"act": ids.new_id()}).status_code == 409  # no purpose
    act = ids.new_id()
    for _ in range(2):
        html = village.post(f"{url}/paper", {"act": act, "purpose": "visit"}).content.decode()
        assert "13800000001" in html
    with as_role("work") as db:
        assert count(db, "SELECT count(*) FROM fact WHERE kind = 'identity.unmasked' AND purpose = 'visit'") == N
        assert db.execute("SELECT form, n_duties, whole FROM list_taken").fetchall() == [("paper", N, True)]


# --- workbook ---------------------------------------------------------------------------------------------------------


def taken_out(desk: Client, url: str, **fields) -> tuple:
    """The workbook, and the column of each head."""
    from openpyxl import load_workbook

    answer = desk.post(f"{url}/workbook", {"act": ids.new_id(), "purpose": "call", **fields})
    assert answer.status_code == 200, answer.content.decode()[:1000]
    book = load_workbook(io.BytesIO(answer.content))
    sheet = book.active
    return book, sheet, {cell.value: cell.column for cell in sheet[5] if cell.value}


def sent_back(desk: Client, book) -> str:
    out = io.BytesIO()
    book.save(out)
    answer = desk.post("/lists/return", {"act": ids.new_id(), "file": SimpleUploadedFile("改.xlsx", out.getvalue())})
    assert answer.status_code == 302, answer.content.decode()[:1500]
    return answer["Location"]


def test_a_workbook_goes_out_and_comes_back_by_the_codes_of_its_rows(lists, as_role):
    desk, village = client("console"), access.post_of("cun")
    url = frozen(desk, state="all")
    factor(as_role, shown=False)
    assert desk.post(f"{url}/workbook", {"act": ids.new_id(), "purpose": "call"})["Location"].startswith("/second-factor")
    factor(as_role)
    book, sheet, at = taken_out(desk, url)
    text = "\n".join(str(c.value) for line in sheet.iter_rows() for c in line if c.value)
    assert "13800000001" not in text
    assert "赵小" not in text
    assert "指挥中心值班员" in text
    first = 6

    def fill(line: int, **values) -> None:
        for head, value in values.items():
            sheet.cell(first + line, at[head]).value = value

    fill(0, 结果="人在家", 到达日期="2022-08-27")
    fill(1, 结果="没人接")
    fill(2, 结果="人在家")  # no day
    fill(3, 结果="飞走了")
    fill(4, 检测结果="阴性")  # it is a verification
    fill(5, 到达日期="2022-08-27")
    fill(6, 结果="人在家", 到达日期="昨天啊")
    fill(7, 结果="人在家", 到达日期="2022-08-27")
    wrong = sheet.cell(first + 8, at["编号"])
    wrong.value = wrong.value[:-1] + ("A" if wrong.value[-1] != "A" else "B")
    fill(8, 结果="没人接")
    fill(9, 结果="没人接")
    fill(10, 结果="没人接")
    sheet.cell(first + 10, at["编号"]).value = sheet.cell(first + 9, at["编号"]).value
    # Somebody else settles the eighth meanwhile, and the rows are sorted anew before they come back.
    loop = int(sheet.cell(first + 7, at["编号"]).value[:-1])
    with as_role("work") as db:
        lead = db.execute("SELECT le.id FROM loop l JOIN lead le ON le.subject = l.subject WHERE l.id = %s", (loop,)).fetchone()[0]
    actions.verify(by=access.post_of("shi"), lead=lead, outcome="will_not_come", fact_id=ids.new_id())
    plan = sent_back(desk, book)
    html = page(desk, plan)
    assert figures(html)[0] == 3  # at home, not reached, not reached
    assert figures(html)[1] == N + 3 - 11  # left blank
    letter = {head: chr(64 + column) for head, column in at.items()}
    unread = {
        3: ("结果", "结果看不懂"),
        5: ("结果", "没有写结果"),
        6: ("到达日期", "日期看不懂"),
        8: ("编号", "写错了"),
        10: ("编号", "写了两次"),
    }
    for line, (head, why) in unread.items():
        assert re.search(rf'<th scope="row">{letter[head]}{first + line}</th><td>[^<]*</td><td>[^<]*{why}', html), (head, line)
    assert f"{letter['结果']}{first + 7}" in page(desk, f"{plan}?show=closed_meanwhile")
    assert "不来了" in page(desk, f"{plan}?show=closed_meanwhile")
    assert f"{letter['结果']}{first + 2}" in page(desk, f"{plan}?show=since_missing")
    assert f"{letter['检测结果']}{first + 4}" in page(desk, f"{plan}?show=other_kind") or "这件事不是这一类" in html
    desk.post(plan)
    assert open_duties(as_role, "leads.verify") == N + 3 - 2
    assert village is not None


def test_cells_of_strangers_do_not_run_and_whole_lists_need_the_right(city, as_role):
    text = HEAD + f"=HYPERLINK(1),,13900000001,上海市,2022-08-27 10:00,{BANQIAO.format(n=1)}\n" + row(2, BANQIAO)
    take_in("a.csv", text.encode(), "community")
    desk = client("console")
    url = frozen(desk, state="all")
    desk.get(url)
    factor(as_role)
    _book, sheet, at = taken_out(desk, url, whole="yes")
    cells = [c for line in sheet.iter_rows() for c in line if c.value is not None]
    assert {c.data_type for c in cells} == {"s"}
    assert at["电话"]
    with as_role("work") as db:
        assert count(db, "SELECT count(*) FROM list_taken WHERE whole AND form = 'workbook'") == 1
        assert count(db, "SELECT count(*) FROM fact WHERE kind = 'identity.unmasked'") >= 1


def test_a_file_that_is_none_of_ours_is_refused_with_a_sentence(lists):
    desk = client("console")
    for data in (HEAD.encode() + row(1, BANQIAO).encode(), b"PK\x03\x04broken"):
        answer = desk.post("/lists/return", {"act": ids.new_id(), "file": SimpleUploadedFile("x.csv", data)})
        assert answer.status_code == 409, answer.content.decode()[:500]
