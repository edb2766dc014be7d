"""The reply is lost after the commit, and the sender sends the same again a minute later: nothing is done twice.

One endpoint of each kind: a list, an answer, a step after it, duties moved in bulk, a record withdrawn, an act undone, an
identity read, a question about two persons; and the doors themselves, without a page in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from tests.lists.generate import id_number
from tests.morning import take_in

from bihuan.access import queries as access
from bihuan.kernel import ids
from bihuan.leads import actions
from bihuan.leads.facts import Tried

HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
COUNTED = (
    "fact", "conflict", "loop", "movement", "handled", "intake_file", "lead", "link", "doubt",
    "contact_tried", "lead_verified", "lead_sampled", "result_recorded", "unmasked",
)  # fmt: skip


def row(n: int, name: str, doc: str = "", phone: int | None = None) -> str:
    return f"{name},{doc},138{n if phone is None else phone:08d},上海市,2022-08-27 10:00,连云港市连云区板桥街道板桥社区居委会{n}号楼\n"


class Desk:
    def __init__(self, as_role: Callable, acting: Callable) -> None:
        self.as_role, self.acting = as_role, acting
        self.post = access.post_of("console")
        self.client = Client(headers={"host": "localhost"})
        self.client.force_login(self.post.officer)
        session = self.client.session
        session["post"] = self.post.id
        session.save()

    def rows(self, sql: str) -> list[tuple]:
        with self.as_role("superuser") as db:
            return db.execute(sql).fetchall()

    def counts(self) -> dict[str, int]:
        return {table: self.rows(f"SELECT count(*) FROM {table}")[0][0] for table in COUNTED}

    def open(self, kind: str) -> tuple[int, UUID]:
        """A duty of the kind and its lead."""
        duties = "SELECT l.id, d.id FROM loop l JOIN lead d USING (subject, key)"
        return self.rows(f"{duties} WHERE l.kind = '{kind}' AND l.closed_at IS NULL ORDER BY 1 LIMIT 1")[0]

    def later(self) -> None:
        from bihuan.policy import installation

        with self.acting("work"):
            installation.advance(timedelta(minutes=1))
        installation.forget()

    def twice(self, send: Callable[[], object]) -> None:
        """Send; the reply is lost; a minute later the same again."""
        before = self.counts()
        send()
        once = self.counts()
        assert once != before, "nothing was done at all"
        self.later()
        send()
        assert self.counts() == once

    def post_twice(self, url: str, **data: object) -> None:
        def send() -> None:
            for value in data.values():
                if isinstance(value, SimpleUploadedFile):
                    value.seek(0)
            answer = self.client.post(url, data)
            assert answer.status_code < 400, (url, answer.status_code, answer.content.decode()[:2000])

        self.twice(send)


@pytest.fixture
def desk(city: str, as_role: Callable, acting: Callable) -> Iterator[Desk]:
    """The city desk's browser, with a morning's work before it."""
    text = HEAD + "".join(row(n, f"王小{'一二三四五六'[n]}") for n in range(6))
    text += (
        row(7, "李同", id_number("320706", date(1980, 1, 1), 1), 70)
        + row(8, "李同", id_number("320706", date(1975, 5, 5), 2), 70)
        + row(9, "李同", "", 70)
    )
    _, accounts, _ = take_in("a.csv", text.encode(), "community")
    assert accounts["rejected"] == 0, accounts
    return Desk(as_role, acting)


def new() -> str:
    return str(ids.new_id())


def here(lead: UUID) -> tuple[str, dict]:
    return f"/leads/{lead}/act", {"fact_id": new(), "outcome": "at_home", "arrived_on": "2022-08-27", "treatment": "no"}


def test_a_list(desk) -> None:
    file = SimpleUploadedFile("b.csv", (HEAD + row(20, "赵新")).encode())
    desk.post_twice("/intake/upload", act=new(), source="unit", unclassified="yes", file=file)


def test_an_answer_and_the_steps_after_it(desk) -> None:
    _, lead = desk.open("leads.verify")
    desk.post_twice(f"/leads/{lead}/act", fact_id=new(), outcome="not_reached")
    url, answer = here(lead)
    desk.post_twice(url, **answer)
    desk.post_twice(f"/leads/{lead}/sample", fact_id=new(), place="上门")
    desk.post_twice(f"/leads/{lead}/result", fact_id=new(), result="negative")
    assert desk.counts()["conflict"] == 0


def test_duties_moved_in_bulk(desk) -> None:
    (loops,) = desk.rows("SELECT array_agg(id ORDER BY id) FROM loop WHERE kind = 'leads.verify' AND closed_at IS NULL")[0]
    desk.post_twice("/duties/reassign", act=new(), loop=[str(i) for i in loops[:3]], to_unit=desk.post.unit_id)
    desk.post_twice("/duties/assign", act=new(), loop=[str(i) for i in loops[:3]], assignee=desk.post.officer_id)


def test_a_record_withdrawn(desk) -> None:
    _, lead = desk.open("leads.verify")
    url, answer = here(lead)
    desk.client.post(url, answer)
    desk.post_twice(f"/leads/{lead}/correct", act=new(), entry=answer["fact_id"], reason="打错人了", sure="yes")
    assert desk.rows("SELECT count(*) FROM loop WHERE kind = 'leads.verify' AND outcome = 'met'")[0][0] == 1


def test_an_act_undone(desk) -> None:
    _, lead = desk.open("leads.verify")
    url, answer = here(lead)
    desk.client.post(url, answer)
    desk.post_twice(f"/undo/{answer['fact_id']}")


def test_an_identity_read(desk) -> None:
    _, lead = desk.open("leads.verify")
    desk.post_twice(f"/leads/{lead}/unmask", act=new(), purpose="call")


def test_a_question_about_two_persons(desk) -> None:
    a, b = desk.rows("SELECT a, b FROM doubt WHERE ended_by IS NULL ORDER BY 1, 2 LIMIT 1")[0]
    desk.post_twice(f"/people/same/{a}/{b}", fact_id=new(), decision="same", note="同一人两个证件")


def test_the_doors_themselves(desk) -> None:
    """The same id and content is the same record, whenever it comes; no conflict is kept."""
    _, lead = desk.open("leads.verify")
    fact, act = ids.new_id(), ids.new_id()
    desk.twice(lambda: actions.try_contact(by=desk.post, lead=lead, outcome=Tried.NOT_REACHED, fact_id=fact))
    desk.twice(lambda: actions.void(by=desk.post, fact=fact, reason="打错人了", act=act))
    assert desk.counts()["conflict"] == 0
