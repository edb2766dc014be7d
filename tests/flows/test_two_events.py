"""Two outbreaks at once: the same person is on lists of both, and nothing of one is mistaken for the other's."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from html import unescape

import pytest
from click.testing import CliRunner
from tests.morning import take_in
from tests.signed_in import signed_in

from bihuan.access import queries as access
from bihuan.intake import actions as intake
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.leads import actions as leads
from bihuan.leads.facts import Found, MedicalNeed
from bihuan.policy import actions as policy
from bihuan.site.cli import cli

HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
ROW = "赵小一,,13800000001,上海市,2022-08-27 10:00,连云港市连云区板桥街道板桥社区居委会1号楼\n"
OTHER = "钱小二,,13800000002,上海市,2022-08-27 10:00,连云港市连云区板桥街道板桥社区居委会2号楼\n"
SECOND = "港区疫情"


def _text(client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, (url, answer.status_code)
    return unescape(answer.content.decode())


def _in(event: int, text: str) -> None:
    console = access.post_of("console")
    stored = intake.store(by=console, event=event, kind="leads", source="data", name="b.csv", data=text.encode(), act=ids.new_id())
    assert not isinstance(stored, Refused), stored
    assert intake.process(stored.file, by=console).state == "done"


@pytest.fixture
def second(city, acting) -> int:
    """A second event beside the demonstration's, by the same national rules and without the city's 138."""
    console = access.post_of("console")
    take_in("a.csv", (HEAD + ROW).encode(), "community")
    with acting("work"):
        event = policy.open_event(
            disease="covid19", region=console.unit.region_id, name=SECOND, opened_on=clock.today(), legal_basis="文号",
            retention=timedelta(days=90),
        )  # fmt: skip
        policy.adopt(
            event=event.id, region=console.unit.region_id, pack="covid19/cn_9", version="2022-06-28", from_on=clock.today(), basis="文号",
            by=console.id,
        )  # fmt: skip
    return event.id


@pytest.fixture
def ask(as_role):
    def rows(query: str, *given) -> list[tuple]:
        with as_role("superuser") as db:
            return db.execute(query, given).fetchall()

    return rows


def test_one_event_needs_no_name_and_two_are_told_apart(second, ask) -> None:
    village = signed_in("cun")
    _in(second, HEAD + ROW)
    rows = re.findall(r"<tr class=\"is-.*?</tr>", _text(village, "/duties"), re.S)
    assert len(rows) == 2  # one duty for each event, one person
    first = "新冠肺炎疫情防控（演示）"
    assert sorted((SECOND in row, first in row) for row in rows) == [(False, True), (True, False)]
    ((lead,),) = ask("SELECT id FROM lead WHERE event = %s", second)
    assert SECOND in _text(village, f"/leads/{lead}").split("<main")[1]
    assert SECOND in _text(village, f"/leads/{lead}/act").split("<main")[-1]


def test_what_is_late_is_told_by_event(second, acting, as_role) -> None:
    _in(second, HEAD + ROW)
    with as_role("superuser") as db:
        db.execute("UPDATE loop SET due_at = %s", (clock.now() - timedelta(hours=1),))

    def told(*arguments: str) -> dict:
        with acting("work"):
            done = CliRunner().invoke(cli, ["loops", "overdue", *arguments, "--json"])
        assert done.stdout, (done.stderr, done.exception)
        return json.loads(done.stdout)

    assert {row["event"] for row in told()["overdue"]} == {1, second}
    assert {row["event"] for row in told("--event", str(second))["overdue"]} == {second}
    refused = told("--event", "9999")
    assert (refused["ok"], refused["refused"]["code"]) == (False, "event_unknown")
    assert SECOND in refused["refused"]["zh"]


def test_a_single_event_is_not_repeated_in_every_line(city) -> None:
    take_in("a.csv", (HEAD + ROW).encode(), "community")
    (row,) = re.findall(r"<tr class=\"is-.*?</tr>", _text(signed_in("cun"), "/duties"), re.S)
    assert "新冠肺炎疫情防控" not in row


def test_each_event_has_its_own_rules_duties_and_figures(second, ask) -> None:
    _in(second, HEAD + ROW + OTHER)
    due = ask("SELECT DISTINCT event, pack, round(extract(epoch FROM due_at - opened_at) / 3600) FROM loop ORDER BY 1")
    assert due == [(1, "covid19/cn_9@2022-06-28+huaian138@2022", 1), (second, "covid19/cn_9@2022-06-28", 34)]
    ((lead,),) = ask("SELECT id FROM lead WHERE event = %s AND subject IN (SELECT subject FROM lead WHERE event = 1)", second)
    done = leads.verify(
        by=access.post_of("cun"), lead=lead, outcome=Found.HERE, here_since=date(2022, 8, 27), medical_need=MedicalNeed.NONE,
        fact_id=ids.new_id(),
    )  # fmt: skip
    assert not isinstance(done, Refused), done
    still = ask("SELECT event, kind FROM loop WHERE closed_at IS NULL ORDER BY 1, 2")
    # The first event's question about the same person stands, and so does the second's about the other person.
    assert still == [(1, "leads.verify"), (second, "leads.sample"), (second, "leads.verify")]
    shi = signed_in("shi")
    for event, new, rules in ((second, 2, False), (1, 1, True)):
        assert shi.post("/rules/event", {"event": event, "next": "/rules"}).status_code == 302
        assert ("“138”" in _text(shi, "/rules").split("<main")[1]) == rules
        assert (SECOND in _text(shi, "/overview").split("<main")[0]) == (event == second)
        listed = _text(shi, f"/overview/{access.post_of('shi').unit_id}/list?what=held")
        assert len(re.findall(r"<tr class=\"is-", listed)) == new, event
