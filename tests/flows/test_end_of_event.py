"""The outbreak is over: its personal data are destroyed, provably, and the accounts still balance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client, override_settings
from tests.morning import EVENT, take_in

from bihuan.access import queries as access
from bihuan.access import second_factor
from bihuan.access.action import action
from bihuan.identity import keys
from bihuan.intake import actions as intake
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.ledger import destruction, heads, jobs, seals
from bihuan.ledger import verify as ledger
from bihuan.ledger.models import Ending
from bihuan.loops import ending, handle
from bihuan.loops.tick import tick
from bihuan.loops.verify import verify
from bihuan.loops.writes import Handled
from bihuan.policy import actions as policy
from bihuan.policy import installation
from bihuan.site import setup
from bihuan.site.certificate import page, read

PEOPLE = "姓名,证件号码,手机号码,来源地,到达时间,现居住地址\n" + "\n".join(
    f"钱{n:02d},,1390000{n:04d},上海市,2022-08-27,连云港市连云区板桥街道板桥社区{n}号" for n in range(6)
)


@pytest.fixture
def over(city, tmp_path) -> Iterator[None]:
    """Six people on a list, all duties waived, sealed; the event ended half a year ago. Django is the worker."""
    home = tmp_path / "home"
    home.mkdir()
    with override_settings(HOME=home, MASTER_KEY_FILE=home / "keys" / "master.key"), setup.acting("work"):
        take_in("a.csv", PEOPLE.encode(), "data")
        jobs.seal()
        yield
    keys._read.cache_clear()


def rows(sql: str, *parameters) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


@action
def waive(*, by, loops: list[int]) -> Handled:
    return handle.waive(by=by, loops=loops, reason="疫情结束", act=ids.new_id())


def close_all(event: int = EVENT) -> None:
    loops = [loop for (loop,) in rows("SELECT id FROM loop WHERE closed_at IS NULL AND event = %s", event)]
    answer = waive(by=access.post_of("console"), loops=loops)
    assert not isinstance(answer, Refused), answer


def end_and_wait() -> None:
    policy.end_event(event=EVENT, on=clock.today())
    installation.advance(timedelta(days=181))
    jobs.seal()


def two_signatures() -> None:
    assert not isinstance(ending.ask(by=access.post_of("console"), event=EVENT, reason="保存期满"), Refused)
    assert not isinstance(ending.sign(by=access.post_of("shi"), event=EVENT), Refused)


def carry_out() -> Ending:
    return ending.carry_out(EVENT, as_owner=lambda: setup.acting("owner"), days_of_backups=30)


def code(answer) -> str:
    assert isinstance(answer, Refused), answer
    return answer.code


def personal() -> dict[str, int]:
    tables = (
        "person",
        "identity",
        "holding",
        "cluster",
        "link",
        "visible",
        "lead",
        "intake_file",
        "intake_row",
        "loop",
        "movement",
        "doomed",
    )
    return {table: rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables}


def test_nothing_goes_before_its_time_or_by_one_hand(over) -> None:
    console, second, village = (access.post_of(login) for login in ("console", "shi", "cun"))
    assert code(ending.ask(by=village, event=EVENT, reason="x")) == "not_permitted"
    assert code(ending.ask(by=console, event=EVENT, reason="x")) == "event_runs"
    policy.end_event(event=EVENT, on=clock.today())
    assert code(ending.ask(by=console, event=EVENT, reason="x")) == "event_kept"
    installation.advance(timedelta(days=181))
    refused = ending.ask(by=console, event=EVENT, reason="x")
    duty, kind, owner = rows("SELECT l.id, l.kind, u.name FROM loop l JOIN unit u ON u.id = l.owner WHERE closed_at IS NULL ORDER BY 1")[0]
    assert code(refused) == "event_has_open_duties"
    assert f"{duty} {kind} {owner}" in refused.zh
    close_all()
    assert code(ending.ask(by=console, event=EVENT, reason=" ")) == "reason_missing"
    assert code(ending.sign(by=second, event=EVENT)) == "ending_not_asked"
    assert not isinstance(ending.ask(by=console, event=EVENT, reason="保存期满"), Refused)
    assert code(ending.sign(by=console, event=EVENT)) == "ending_needs_second_signer"
    with pytest.raises(Refused, match="ending_not_signed"):
        carry_out()
    assert min(personal()[table] for table in ("person", "identity", "lead", "intake_row")) > 0


def test_all_of_it_goes_and_everything_still_holds(over, tmp_path) -> None:
    close_all()
    end_and_wait()
    outlook = ending.outlook(EVENT)
    before = {"n": rows("SELECT count(*) FROM fact")[0][0], "head": seals.head(), "sums": ending.sums_digest(EVENT)}
    assert outlook.counts["identity"] > 5
    assert outlook.n_open == 0
    two_signatures()
    done = carry_out()

    assert personal() == dict.fromkeys(personal(), 0)
    assert {kind for (kind,) in rows("SELECT kind FROM fact")} == {"ledger.destruction_begun", "ledger.destruction_certified"}
    assert rows("SELECT count(*) FROM subject WHERE kind = 'person'") == [(0,)]
    assert verify().gaps == []
    assert ledger.seal_broken().gaps == []
    assert before["sums"] == ending.sums_digest(EVENT) == done.certificate["ledger"]["sums"]
    assert rows("SELECT sum(opened) - sum(closed) FROM tally WHERE event = %s", EVENT) == [(0,)]

    said = done.certificate
    counted = {table: n for table, n in said["destroyed"].items() if table in outlook.counts and table not in ("doomed", "tally_delta")}
    assert counted == {table: n for table, n in outlook.counts.items() if table in counted and table not in ("doomed", "tally_delta")} | {
        table: said["destroyed"][table] for table in ("person", "visible", "link", "judged", "doubt", "cluster", "subject")
    }
    assert said["ledger"]["records"] == before["n"] == said["destroyed"]["fact"]
    assert said["destroyed"]["event_key"] == 2
    assert {said["asked"]["name"], said["signed"]["name"]} == {"指挥中心值班员", "陈市平"}
    assert ending.is_genuine(json.loads(json.dumps(said)))
    assert not ending.is_genuine(said | {"reason": "别的"})
    html = page(said, final=False)
    assert "陈市平" in html
    assert said["sha256"] in html
    file = tmp_path / "certificate.html"
    for text in (html, json.dumps(said), json.dumps({"ok": True, "genuine": True, "final": False, "certificate": said})):
        file.write_text(text, "utf-8")
        assert read(file) == said
    kept = Ending.objects.get(event=EVENT).certificate  # as the database gives it back
    file.write_text(page(kept, final=True), "utf-8")
    assert read(file) == kept == said
    file.write_text(html.replace("陈市平", "别人"), "utf-8")
    assert read(file) is None, "a page that says something else than what it carries"
    for text in ("<html>", "", "[]"):
        file.write_text(text, "utf-8")
        with pytest.raises(Refused, match="certificate_unreadable"):
            read(file)
    assert carry_out().certified_at == done.certified_at, "again: nothing more"


def test_interrupted_anywhere_it_goes_on(over, monkeypatch) -> None:
    close_all()
    end_and_wait()
    two_signatures()
    monkeypatch.setattr(destruction, "BATCH_ROWS", 3)
    real, calls = destruction.delete, []

    def falls(part, event, seal, batch=3):
        for n in real(part, event, seal, 3):
            calls.append(part.table)
            yield n
            if len(calls) in (2, 5, 9, 14, 20, 30):
                raise RuntimeError("power cut")

    monkeypatch.setattr(destruction, "delete", falls)
    n_cuts = 0
    while True:
        try:
            done = carry_out()
            break
        except RuntimeError:
            n_cuts += 1
            assert ledger.seal_broken().gaps == [], "halfway too the chain holds"
    assert n_cuts == 6
    assert personal() == dict.fromkeys(personal(), 0)
    assert verify().gaps == []
    assert done.certificate["destroyed"]["event_key"] == 2


def test_what_a_superuser_deletes_besides_is_no_destruction(over, as_role) -> None:
    facts = [fact for (fact,) in rows("SELECT id FROM fact ORDER BY id")]
    close_all()
    end_and_wait()
    two_signatures()
    carry_out()
    (kept,) = rows("SELECT id FROM fact WHERE kind = 'ledger.destruction_begun'")[0]
    with as_role("superuser") as db:
        db.execute("DELETE FROM fact WHERE id = %s", [kept])
    assert any("has no fact" in gap.what for gap in ledger.seal_broken().gaps)
    with as_role("superuser") as db:
        db.execute("UPDATE destroyed_leaf SET positions = positions || '\\x00000063'::bytea")
    assert any("ending" in gap.what for gap in ledger.seal_broken().gaps)
    assert facts


def test_an_older_backup_does_not_bring_the_keys_back(over, as_role) -> None:
    """A restore brings rows and wrapped keys back; the number beside the master key says that they are gone."""
    close_all()
    end_and_wait()
    key = keys.data_key(EVENT)
    assert key is not None
    wrapped = rows('SELECT event, "class", wrapped FROM event_key')
    two_signatures()
    carry_out()
    with as_role("superuser") as db:
        for row in wrapped:
            db.execute("INSERT INTO event_key VALUES (%s, %s, %s)", row)
    assert keys.data_key(EVENT) is None
    assert keys.brought_back() == [EVENT]
    with pytest.raises(Refused, match="event_destroyed"), transaction.atomic():
        keys.ensure_data_key(EVENT)
    assert key.hex() not in keys.destroyed_file().read_text()
    gaps = [gap.what for gap in verify().gaps]
    assert any("rows are there again: event_key" in what for what in gaps), gaps


def test_nothing_can_be_added_afterwards(over) -> None:
    close_all()
    end_and_wait()
    two_signatures()
    carry_out()
    post = access.post_of("console")
    answer = intake.store(by=post, event=EVENT, kind="leads", source="data", name="b.csv", data=PEOPLE.encode(), act=ids.new_id())
    assert code(answer) == "event_destroyed"


def test_a_person_of_two_events_stays_in_the_other(over) -> None:
    console, shi = access.post_of("console"), access.post_of("shi")
    city = console.unit.region_id
    other = policy.open_event(
        disease="covid19", region=city, name="另一起", opened_on=clock.today(), legal_basis="x", retention=timedelta(days=9)
    ).id
    policy.adopt(event=other, region=city, pack="covid19/cn_9", version="2022-06-28", from_on=clock.today(), basis="x", by=console.id)
    both = "\n".join(PEOPLE.splitlines()[:3])  # two of the six
    stored = intake.store(
        by=console, event=other, kind="leads", source="data", name="o.csv", data=both.encode(), act=ids.new_id(), claim=True
    )
    assert intake.process(stored.file, by=console).created == 2
    close_all()
    end_and_wait()
    two_signatures()
    carry_out()
    assert shi.id
    names = [name for (name,) in rows("SELECT name FROM person WHERE name <> '' ORDER BY 1")]
    assert names == ["钱00", "钱01"]
    assert rows("SELECT count(*) FROM identity WHERE event = %s", EVENT) == [(0,)]
    assert rows("SELECT count(*) FROM identity WHERE event = %s", other)[0][0] >= 2
    assert {event for (event,) in rows("SELECT event FROM holding")} == {other}
    assert {event for (event,) in rows("SELECT event FROM fact WHERE kind NOT LIKE 'ledger.%%'")} == {other}
    tick()  # half a year went by at once
    gaps = verify().gaps
    assert gaps == [], gaps[:5]
    assert keys.data_key(other) is not None
    assert heads.bring().lost == 0


def desk(login: str) -> Client:
    post = access.post_of(login)
    made = Client(headers={"host": "localhost"})
    made.force_login(post.officer)
    session = made.session
    session["post"] = post.id
    session.save()
    return made


def test_two_people_sign_on_their_pages(over, monkeypatch) -> None:
    with setup.acting("app"):
        console, shi = desk("console"), desk("shi")
        assert "进行中" in console.get("/events?event=1").content.decode()
    policy.end_event(event=EVENT, on=clock.today())
    installation.advance(timedelta(days=181))
    with setup.acting("app"):
        shown = console.get("/events?event=1").content.decode()
        assert "还有 6 件没有办完" in shown
        assert "核查 · " in shown
    close_all()
    jobs.seal()
    with setup.acting("app"):
        shown = console.get("/events?event=1").content.decode()
        assert "提出销毁" in shown
        assert ">identity</code>" in shown, "counted past the desk's own range"
        answer = console.post("/events/ask", {"event": "1", "reason": "保存期满"})
        assert answer.headers["Location"].startswith("/second-factor"), "the second factor first"
        assert Ending.objects.count() == 0
        monkeypatch.setattr(second_factor, "is_fresh", lambda request: True)
        assert console.post("/events/ask", {"event": "1", "reason": "保存期满"}).headers["Location"] == "/events?event=1"
        answer = console.post("/events/sign", {"event": "1"})
        assert (answer.status_code, "须由提出者以外的另一人签字" in answer.content.decode()) == (409, True)
        assert "签字，同意销毁" not in console.get("/events?event=1").content.decode()
        assert "签字，同意销毁" in shi.get("/events?event=1").content.decode()
        assert shi.post("/events/sign", {"event": "1"}).status_code == 302
        assert shi.get("/events/certificate?event=1").status_code == 409
        assert desk("xian").get("/events").status_code == 403
    done = carry_out()
    with setup.acting("app"):
        shown = shi.get("/events/certificate?event=1").content.decode()
        assert done.certificate["sha256"] in shown
        assert "陈市平" in shown
        assert "销毁证明" in shi.get("/events?event=1").content.decode()
    with setup.acting("work"):
        Ending.objects.update(certificate=done.certificate | {"reason": "别的"})
    with setup.acting("app"):
        assert shi.get("/events/certificate?event=1").status_code == 409
    assert any("certificate" in gap.what for gap in verify().gaps)
