"""The three times of every person, on a morning small enough to reckon by hand: known, taken over, settled."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from tests.flows.test_pages import AT_HOME, BANQIAO, HEAD, YANGJI, act_form, client, page
from tests.morning import take_in

from bihuan.access import queries as access
from bihuan.access import scope
from bihuan.boards import queries, times
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.leads import actions
from bihuan.leads import times as instants
from bihuan.leads.queries import rows

NAMES = ["赵小一", "钱小二", "孙小三", "李小四", "周小五", "吴小六", "郑小七"]


def line(n: int, arrived: str, address: str = BANQIAO) -> str:
    return f"{NAMES[n]},,1390000000{n},上海市,{arrived},{address.format(n=n)}\n"


def before(minutes: float) -> str:
    """An arrival as a list writes it, to the second: so many minutes before now."""
    return f"{(clock.now() - timedelta(minutes=minutes)).astimezone(clock.SHANGHAI):%Y-%m-%d %H:%M:%S}"


def asked(login: str, of: str = "", **cut):
    """The figures of a reader, as the page asks for them."""
    post = access.post_of(login)
    with scope.acting(scope.of(post, read_only=True)), transaction.atomic():
        top = queries.place(post.unit_id)
        line_of = {m.unit: m.unit for m in queries.places(top.lo, top.hi)}
        return times.figures(instants.cut(1, **cut), line_of)


def near(found: timedelta | None, minutes: float) -> bool:
    """The demonstration's clock runs: what is said of minutes holds to the minute."""
    assert found is not None
    return abs(found - timedelta(minutes=minutes)) < timedelta(minutes=1)


@pytest.fixture
def morning(city, forward):
    """Four come with the data; 30 minutes later three with the community, one of them known already.

    The four arrived 120, 60 and 20 minutes before, one is expected in 120. Of the community's new ones one came yesterday
    (no hour is told), one 20 minutes before, to another county.
    """
    data = [line(0, before(120)), line(1, before(60)), line(2, before(20)), line(3, before(-120))]
    take_in("data.csv", (HEAD + "".join(data)).encode(), "data")
    forward(30)
    community = [line(0, before(90)), line(4, before(24 * 60)[:10]), line(5, before(20), YANGJI)]
    take_in("community.csv", (HEAD + "".join(community)).encode(), "community")
    return leads_by_name()


def leads_by_name() -> dict[str, str]:
    """Lead by name."""
    with scope.acting(scope.of(access.post_of("shi"), read_only=True)), transaction.atomic():
        found = rows("SELECT le.id, p.name FROM lead le JOIN person p ON p.subject = le.subject WHERE le.merged_into IS NULL")
    return {row["name"]: str(row["id"]) for row in found}


def test_the_medians_are_those_reckoned_by_hand(morning, forward):
    found = asked("shi")
    # 120, 60, 20 and 20 minutes. One lies ahead, one has no hour.
    total = found.total
    assert total.counts == {
        "persons": 6, "known": 4, "foreseen": 0, "ahead": 1, "no_time": 1, "taken": 0, "waits": 6, "settled": 0, "open": 6,
    }  # fmt: skip
    assert near(total.stages["known"].median, 40)
    assert near(total.stages["known"].ninth, 60 + 0.7 * 60)  # 2.7 of the three steps along 20, 20, 60, 120
    assert total.stages["taken"] == times.Stage(0, None, None)
    # By the source that told first: the community told of two whom nobody knew.
    assert {s: f.counts["persons"] for s, f in found.by_source.items()} == {"data": 4, "community": 2}
    assert near(found.by_source["data"].stages["known"].median, 60)
    assert near(found.by_source["community"].stages["known"].median, 20)

    village = client("cun")
    lead, other = morning["赵小一"], morning["钱小二"]
    village.post(f"/leads/{lead}/call?act={ids.new_id()}")  # 30 minutes after the data came
    forward(15)
    village.post(f"/leads/{lead}/act", {"fact_id": act_form(village, lead), **AT_HOME})  # a sample is still owed
    village.post(f"/leads/{other}/act", {"fact_id": act_form(village, other), "outcome": "will_not_come"})  # nothing more is
    found = asked("shi").total
    assert found.counts["taken"] == 2
    assert near(found.stages["taken"].median, (30 + 45) / 2)
    assert (found.counts["settled"], found.counts["open"], found.counts["waits"]) == (1, 5, 4)
    assert near(found.stages["settled"].median, 0)

    forward(25)
    sample(village, lead)  # 40 minutes after the call
    found = asked("shi").total
    assert found.counts["settled"] == 2
    assert near(found.stages["settled"].median, 20)
    assert near(found.stages["settled"].ninth, 36)


def sample(village, lead: str) -> None:
    form = page(village, f"/leads/{lead}/sample")
    fact = re.search(r'name="fact_id" value="([^"]+)"', form)[1]
    answer = village.post(f"/leads/{lead}/sample", {"fact_id": fact, "place": "村卫生室", "tube": "A1"})
    assert answer.status_code == 302, answer.content.decode()[:2000]


def test_whoever_is_known_before_arriving_counts_nothing_and_is_named(morning, forward):
    """Ahead: in no median. Arrived since: 0, never less; and settling is counted from the arrival."""
    village, lead = client("cun"), morning["李小四"]
    assert asked("shi").total.counts["ahead"] == 1
    forward(60)
    village.post(f"/leads/{lead}/call?act={ids.new_id()}")  # an hour and a half after it was known, half an hour before the arrival
    forward(60)
    found = asked("shi").total
    assert (found.counts["ahead"], found.counts["foreseen"], found.counts["known"]) == (0, 1, 5)
    assert near(found.stages["known"].median, 20)  # 0, 20, 20, 60, 120
    forward(10)
    village.post(f"/leads/{lead}/act", {"fact_id": act_form(village, lead), "outcome": "will_not_come"})
    found = asked("shi").total
    assert near(found.stages["taken"].median, 90)
    assert near(found.stages["settled"].median, 40)  # from the arrival, not from the call an hour and ten minutes before


def test_what_is_withdrawn_counts_no_more(morning, forward):
    """A report that is voided made nobody known; a voided answer settled nobody."""
    village, lead = client("cun"), morning["孙小三"]
    forward(5)
    village.post(f"/leads/{lead}/act", {"fact_id": act_form(village, lead), "outcome": "will_not_come"})
    assert asked("shi").total.counts["settled"] == 1
    void(morning["孙小三"], "leads.lead_verified")
    found = asked("shi").total
    assert (found.counts["settled"], found.counts["taken"], found.counts["open"]) == (0, 0, 6)

    # 赵小一 was told of by data and, 30 minutes later, by the community: without the first the second made known.
    void(morning["赵小一"], "leads.lead_reported")
    one = next(row for row in everyone() if str(row["lead"]) == morning["赵小一"])
    assert (one["source"], one["sources"]) == ("community", ["community"])
    assert near(one["to_known"], 90)


def everyone() -> list[dict]:
    with scope.acting(scope.of(access.post_of("shi"), read_only=True)), transaction.atomic():
        sql, given = instants.cut(1).sql()
        return rows(f"{sql} SELECT * FROM w", given)


def void(lead: str, kind: str) -> None:
    """Withdraw the first record of a kind about somebody."""
    desk = access.post_of("shi")
    first = "SELECT f.id FROM fact f JOIN lead le ON le.subject = f.subject WHERE le.id = %s AND f.kind = %s ORDER BY f.received_at LIMIT 1"
    with scope.acting(scope.of(desk, read_only=True)), transaction.atomic():
        fact = rows(first, [lead, kind])[0]["id"]
    done = actions.void(by=desk, fact=fact, reason="记错了", act=ids.new_id())
    assert not isinstance(done, Refused), done


# --- the pages ----------------------------------------------------------------------------------------------------


def figures_of(html: str) -> list[tuple[str, int]]:
    """Every number of a page with the list that it opens."""
    found = re.findall(
        r'<a [^>]*href="((?:/times|/sources)/\d+/l(?:ist\?[^"]+|ost))"[^>]*>(?:<svg.*?</svg>)?\s*([\d,]+)(?: 人)?\s*</a>',
        html,
        re.S,
    )
    return [(url, int(figure.replace(",", ""))) for url, figure in found]


def opened(made, url: str) -> int:
    """How many a list says that it has; it must show them."""
    html = page(made, url)
    total = int(re.search(r'<h1>.*?<span class="number">([\d,]+)</span></h1>', html, re.S)[1].replace(",", ""))
    assert html.count('class="order number"') == min(50, total), url
    return total


@pytest.mark.parametrize("login", ["shi", "xian", "zhen"])
def test_every_number_opens_exactly_its_list(morning, forward, login):
    village = client("cun")
    lead = morning["赵小一"]
    village.post(f"/leads/{lead}/act", {"fact_id": act_form(village, lead), **AT_HOME})
    other = morning["钱小二"]
    village.post(f"/leads/{other}/act", {"fact_id": act_form(village, other), "outcome": "wrong_number"})
    desk = client(login)
    found = dict(figures_of(page(desk, "/times")) + figures_of(page(desk, "/sources")))
    assert len(found) > 20
    assert any(found.values())
    assert {url: opened(desk, url) for url in found} == found


def test_the_county_reads_what_the_city_reads_of_it(morning, forward):
    village = client("cun")
    village.post(f"/leads/{morning['赵小一']}/act", {"fact_id": act_form(village, morning["赵小一"]), **AT_HOME})
    for login in ("xian", "zhen"):
        unit = access.post_of(login).unit_id
        own, above = page(client(login), f"/times/{unit}"), page(client("shi"), f"/times/{unit}")
        assert figures_of(own) == figures_of(above)
        own, above = page(client(login), f"/sources/{unit}"), page(client("shi"), f"/sources/{unit}")
        assert [f for f in figures_of(own) if "/list" in f[0]] == [f for f in figures_of(above) if "/list" in f[0]]
    elsewhere = client("xian").get(f"/times/{access.post_of('shi').unit_id}")
    assert elsewhere.status_code == 404
    assert client("cun").get("/times").status_code == 403
    assert client("cun").get("/sources").status_code == 403


def test_a_past_moment_gives_the_same_figures_for_ever(morning, forward):
    """As of a seal: what was done, voided or reported afterwards changes nothing."""
    village, lead = client("cun"), morning["赵小一"]
    village.post(f"/leads/{lead}/call?act={ids.new_id()}")
    forward(5)
    village.post(f"/leads/{lead}/act", {"fact_id": act_form(village, lead), "outcome": "will_not_come"})
    forward(5)
    moment = clock.now()
    forward(1)
    then = asked("shi", at=moment)
    assert (then.total.counts["settled"], then.total.counts["persons"]) == (1, 6)
    void(lead, "leads.lead_verified")
    take_in("late.csv", (HEAD + line(6, before(10))).encode(), "telecom")
    forward(10)
    assert asked("shi", at=moment) == then
    assert asked("shi").total.counts["settled"] == 0
    shown = page(client("shi"), f"/times?at={moment.astimezone(clock.SHANGHAI):%Y-%m-%dT%H:%M:%S}")
    assert "按那一刻之前最后一次封存" in shown
    assert ">6</a>" in shown


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("days=2", "只能选今天、近三天、近七天或全程"),
        ("at=昨天", "看不懂的时刻“昨天”"),
        ("at=2022-08-01T08:00", "该时刻之前没有封存"),
    ],
)
def test_what_cannot_be_asked_is_answered_with_a_sentence(morning, query, sentence):
    assert sentence in page(client("shi"), f"/times?{query}", 409)


def test_the_window_is_the_day_on_which_people_were_first_reported(morning, forward):
    assert asked("shi", since=clock.day_start(clock.today())).total.counts["persons"] == 6
    forward(24 * 60)
    desk = client("shi")
    assert "这段时间没有要核查的人" in page(desk, "/times?days=1")
    assert ">6</a>" in page(desk, "/times?days=3")
    assert ">6</a>" in page(desk, "/times?days=0")


def test_the_three_times_stand_at_the_head_of_a_persons_records(morning, forward):
    village, lead = client("cun"), morning["赵小一"]
    assert "到达后 2 小时" in page(village, f"/leads/{lead}")
    assert "最先由数据推送报来" in page(village, f"/leads/{lead}")
    assert page(village, f"/leads/{lead}").count("还没有</b>") == 2
    village.post(f"/leads/{lead}/call?act={ids.new_id()}")
    forward(20)
    village.post(f"/leads/{lead}/act", {"fact_id": act_form(village, lead), "outcome": "will_not_come"})
    done = page(village, f"/leads/{lead}")
    assert re.search(r"知晓后 (29|30|31) 分钟", done)
    assert re.search(r"接管后 (19|20|21) 分钟", done)
    assert "还没到" in page(village, f"/leads/{morning['李小四']}")


def test_statements_do_not_grow_with_people(morning):
    def n(url: str) -> int:
        desk = client("shi")
        page(desk, url)
        with CaptureQueriesContext(connection) as captured:
            page(desk, url)
        return len(captured)

    urls = ("/times", "/sources", "/times/1/list?what=persons", "/sources/1/list?source=data&what=found", "/sources/1/lost")
    before_ = {url: n(url) for url in urls}
    many = "".join(f"人{no},,1370000{no:04d},上海市,{before(90)},{BANQIAO.format(n=no)}\n" for no in range(1, 160))
    take_in("many.csv", (HEAD + many).encode(), "unit")
    assert {url: n(url) for url in urls} == before_
    assert before_["/times"] <= 20
    assert before_["/sources"] <= 20
