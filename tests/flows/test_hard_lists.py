"""Lists that go wrong and come right: corrected and sent again, columns told once, rows that cannot be taken, damaged originals."""

from __future__ import annotations

import io
import re
import time
from datetime import timedelta
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import Client
from openpyxl import load_workbook
from tests.morning import EVENT, count, take_in
from tests.sheets import manifests, relays, texts, workbooks  # noqa: F401 - they fill the corpus
from tests.sheets.make import HEAD, book, corpus, csv, listed, people

from bihuan.access import queries as access
from bihuan.access import scope
from bihuan.intake import actions, jobs, parser, queries, registry
from bihuan.intake.columns import head_of
from bihuan.intake.file_pages import sentence_of
from bihuan.intake.models import IntakeFile
from bihuan.intake.read import read_file
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused

SENDER = "baosong"  # of a unit of its own
# Where "new" is not simply "accepted": twice the same person, shared strangers, names and phones in several files.
FILES = (
    "gb18030.csv", "same_person_twice.csv", "no_head_swapped_columns.csv", "ids_with_faults.csv", "dates_that_nobody_can_read.csv",
    "other_documents.csv", "control_signs.csv", "nul_signs_late.csv", "emoji_and_rare_names.csv", "ten_megabytes_in_a_name.csv",
    "neither_id_nor_phone.csv", "formulas_as_text.csv", "several_sheets.xlsx", "numeric_ids.xlsx", "values_merged_downwards.xlsx",
    "hidden_rows_and_columns.xlsx", "totals_by_district_beside.xlsx", "relay.txt", "relay_without_numbers_of_phones.txt", "epi_x.csv",
    "manifest_with_passports.xlsx", "only_a_head.csv",
)  # fmt: skip


def post():
    return access.post_of("console")


def sent(name: str, data: bytes, **options) -> int:
    stored = actions.store(by=post(), event=EVENT, kind="leads", source="unit", name=name, data=data, act=ids.new_id(), **options)
    assert not isinstance(stored, Refused), stored
    return stored.file


def marked(file: IntakeFile) -> bytes:
    with scope.acting(scope.of(post(), read_only=True)), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT sheet, row, reasons, cells FROM intake_row WHERE file = %s AND outcome = 'rejected' ORDER BY no", [file.id])
        found = cursor.fetchall()
        whole = actions.original(IntakeFile.objects.get(id=file.id))
    return parser.mark(whole, file.name, [(s, r, c, at, sentence_of(c)) for s, r, cs, ats in found for c, at in zip(cs, ats, strict=True)])


def test_hard_sheets_give_their_accounts_in_the_database_too(city, as_role):
    wanted = {one.name: one for one in corpus()}
    for name in FILES:
        one = wanted[name]
        _file, accounts, _rows = take_in(name, one.data, one.source)
        assert (name, accounts["rows"], accounts["created"]) == (name, one.rows, one.created)
        assert accounts["reasons"] == one.rejected
    with as_role("work") as database:
        assert count(database, "SELECT count(*) FROM lead") == sum(wanted[name].created for name in FILES)


@pytest.mark.parametrize("kind", ["a.xlsx", "a.csv"])
def test_a_corrected_copy_imports_only_what_was_corrected(city, kind):
    given = people("corrected", 6)
    rows = listed(given)
    rows[2][1], rows[5][2] = given[1].doc[:17], "123"
    data = book({"名单": [["登记表"], *rows]}) if kind == "a.xlsx" else csv([["登记表"], *rows]).encode("gb18030")
    file, accounts, _ = take_in(kind, data, "unit")
    assert (accounts["created"], accounts["reasons"]) == (4, {"id_length": 1, "phone_bad": 1})
    copy = load_workbook(io.BytesIO(marked(file)))
    page = copy.worksheets[0]
    at = {cell.value: cell for line in page.iter_rows() for cell in line if cell.value}
    assert sorted(cell.column_letter for cell in at.values() if str(cell.value).startswith(("B4：", "C7："))) == ["G", "G"]
    at[given[1].doc[:17]].value = given[1].doc
    out = io.BytesIO()
    copy.save(out)
    again, accounts, _ = take_in("改过.xlsx", out.getvalue(), "unit")
    assert (accounts["rows"], accounts["created"], accounts["unchanged"], accounts["reasons"]) == (6, 1, 4, {"phone_bad": 1})
    # The copy of the copy has one column of reasons, and only the cell that is still wrong is marked.
    page = load_workbook(io.BytesIO(marked(again))).worksheets[0]
    assert [cell.value for line in page.iter_rows() for cell in line].count("退回原因") == 1
    red = [c.coordinate for line in page.iter_rows() for c in line if c.fill.fill_type == "solid" and c.fill.start_color.rgb == "FFFFC7CE"]
    assert red == ["C7", "G7"]
    assert page["G4"].value is None


def test_what_a_unit_said_of_a_head_is_remembered_for_that_unit(city):
    given = people("remembered", 4)
    data = csv([["姓名", "电话", "电话"], *([one.name, one.phone, "13800000000"] for one in given)]).encode()
    head = head_of(read_file(data, "a.csv")[0])
    with pytest.raises(Refused, match="column_unclear"):
        take_in("a.csv", data, "unit")
    actions.remember(by=post(), kind="leads", mappings={head: {"name": 0, "phone": 1}})
    file, accounts, _ = take_in("b.csv", data, "unit")
    assert accounts["created"] == 4
    assert file.mapping[0]["fields"]["phone"] == {"column": "B1", "header": "电话", "by": "remembered"}
    with pytest.raises(Refused, match="column_unclear"):  # another unit has said nothing
        take_in("b.csv", data, "unit", login=SENDER)
    assert actions.forget(by=access.post_of(SENDER), kind="leads", heads=[head]) == 0
    assert actions.forget(by=post(), kind="leads", heads=[head]) == 1
    with pytest.raises(Refused, match="column_unclear"):
        take_in("c.csv", data, "unit")


def test_a_row_that_cannot_be_taken_stands_alone(city, monkeypatch):
    given = people("poison", 40)
    real = registry.kind("leads").take

    def take(**arguments):
        if given[17].name in arguments["rows"]["name"].to_list():
            raise ValueError("nobody thought of this")
        return real(**arguments)

    monkeypatch.setitem(registry.kinds(), "leads", registry.ListKind("leads", "", registry.kind("leads").sources, take))
    _file, accounts, rows = take_in("a.csv", csv(listed(given)).encode(), "unit")
    assert accounts["rows"] == 40
    assert accounts["reasons"] == {"row_failed": sum(one.name == given[17].name for one in given)}
    assert [row["row"] for row in rows if row["outcome"] == "rejected"] == [
        i + 2 for i, one in enumerate(given) if one.name == given[17].name
    ]


def test_a_file_that_always_fails_is_given_up_and_holds_up_nobody(city, acting, monkeypatch):
    bad, good = sent("bad.csv", csv(listed(people("bad", 3))).encode()), sent("good.csv", csv(listed(people("good", 3))).encode())
    real = actions.parser.read
    monkeypatch.setattr(actions.parser, "read", lambda data, name, **o: 1 / 0 if name == "bad.csv" else real(data, name, **o))
    monkeypatch.setattr(actions, "SILENCE", actions.SILENCE * 0)
    with acting("work"):
        for _ in range(actions.FAILURES_MAX):
            with pytest.raises(ZeroDivisionError):
                jobs.process_waiting()
        assert jobs.process_waiting() == 1
        assert IntakeFile.objects.get(id=bad).refusal["code"] == "file_failed"
        assert IntakeFile.objects.get(id=good).created == 3


def test_what_a_dead_process_left_is_taken_up_at_once(city, acting, as_role):
    file = sent("a.csv", csv(listed(people("left", 3))).encode())
    now = clock.real_now()
    with acting("work"):
        IntakeFile.objects.filter(id=file).update(state="working", beat_at=now, begun_at=now)
        with as_role("work") as living:
            living.execute(f"SELECT pg_advisory_lock({actions.lock_of('%s')})", [file])
            assert jobs.process_waiting() == 0, "somebody is at it"
        with as_role("work", autocommit=True) as other:  # the server ends a dead one's session when it reads of its end: soon, not at once
            until = time.monotonic() + 30
            while other.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() != (0,):
                assert time.monotonic() < until, "a closed connection still holds its lock"
        assert jobs.process_waiting() == 1
        assert IntakeFile.objects.get(id=file).created == 3
        with as_role("work") as other:
            assert other.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,), "it is let go at the end"


def test_small_lists_pass_a_long_one(city, acting, monkeypatch):
    long, small = sent("long.csv", csv(listed(people("long", 60))).encode()), sent("small.csv", csv(listed(people("small", 2))).encode())
    monkeypatch.setattr(actions, "BATCH_ROWS", 20)
    done: list[int] = []
    real = actions.finish
    monkeypatch.setattr(actions, "finish", lambda **a: (done.append(a["file"].id), real(**a)))
    with acting("work"):
        assert jobs.process_waiting() == 1
        assert [IntakeFile.objects.get(id=file).created for file in (long, small)] == [60, 2]
    assert done == [small, long]


@pytest.mark.parametrize("column", ["blob", "sha256"])
def test_one_flipped_bit_is_found_and_said(city, as_role, acting, column):
    file = sent("a.csv", csv([HEAD]).encode())
    with as_role("owner") as database:
        for at in (0, 20, 31):
            flipped = f"UPDATE intake_file SET {column} = set_bit({column}, {at}, 1 - get_bit({column}, {at})) WHERE id = {file}"
            database.execute(flipped)
            database.commit()
            with scope.acting(scope.of(post(), read_only=True)), transaction.atomic(), pytest.raises(Refused) as caught:
                actions.original(IntakeFile.objects.get(id=file))
            assert caught.value.code == "file_damaged"
            if at != 31:
                database.execute(flipped)
                database.commit()
    whole = sent("b.csv", csv([HEAD, HEAD]).encode())
    with acting("work"):
        assert [(kept.id, refused and refused.code) for kept, refused in queries.originals()] == [(file, "file_damaged"), (whole, None)]
    assert actions.process(file, by=post()).refusal["code"] == "file_damaged"


# --- on the pages ---------------------------------------------------------------------------------------------------


def client(login: str) -> Client:
    made = Client(headers={"host": "localhost", "accept-language": "zh-hans"})
    made.force_login(access.post_of(login).officer)
    session = made.session
    session["post"] = access.post_of(login).id
    session.save()
    return made


def html_of(made: Client, url: str) -> str:
    answer = made.get(url)
    assert answer.status_code == 200, (url, answer.status_code)
    return unescape(answer.content.decode())


def act_in(html: str) -> str:
    return re.search(r'name="act" value="([^"]+)"', html)[1]


def test_a_relay_is_pasted_and_accounted_for(city, acting):
    township, given = client("zhen"), people("pasted", 3)
    text = (
        "#接龙\r\n板桥社区返乡登记\r\n"
        + "".join(f"{i}. {one.name} {one.phone} 8.26 从上海市回\r\n" for i, one in enumerate(given, 1))
        + "4. 无名氏\r\n5. 仲来来 2组 8.26 从上海市回\r\n6、仲来来，2组，8月26日，上海市\r\n"
    )
    form = {"act": act_in(html_of(township, "/intake/upload")), "source": "community", "unclassified": "yes"}
    nothing = township.post("/intake/upload", form)
    assert nothing.status_code == 422
    assert "file_missing" in nothing.content.decode()
    where = township.post("/intake/upload", form | {"pasted": text}).headers["Location"]
    assert township.post("/intake/upload", form | {"pasted": text}).headers["Location"] == where
    waiting = html_of(township, where)
    assert "排队中" in waiting
    with acting("work"):
        assert jobs.process_waiting() == 1
    html = html_of(township, where)
    assert re.findall(r'<span class="value number">([\d,]+)</span>', html) == ["6", "4", "0", "0", "1", "1"]
    assert "no_identity" in html
    # Who gave only a name and a group is the village's to ask.
    assert "仲*来" in html_of(client("cun"), "/duties?limit=200")


def test_progress_tells_speed_and_time_left(city):
    file = sent("a.csv", csv(listed(people("progress", 2))).encode(), claim=True)
    with scope.acting(scope.of(post())), transaction.atomic():
        IntakeFile.objects.filter(id=file).update(
            n_rows=100_000, n_read=30_000, begun_row=10_000, begun_at=clock.real_now() - timedelta(seconds=100)
        )
    html = html_of(client("console"), f"/intake/{file}/progress")
    assert re.search(r"每秒 (1\d\d|200) 行", html)
    assert re.search(r"大约还要 \d+ 分", html), html


def test_a_refused_list_is_told_its_columns(city, acting):
    desk, given = client("shi"), people("told", 3)
    data = csv([["电话", "电话", "名"], *([one.phone, "13800000000", one.name] for one in given)]).encode()
    form = {
        "act": act_in(html_of(desk, "/intake/upload")),
        "source": "unit",
        "unclassified": "yes",
        "file": SimpleUploadedFile("甲.csv", data),
    }
    where = desk.post("/intake/upload", form).headers["Location"]
    with acting("work"):
        jobs.process_waiting()
    assert f'href="{where}/mapping"' in html_of(desk, where)
    asked = html_of(desk, f"{where}/mapping")
    assert given[0].phone not in asked
    assert given[0].phone[:3] + "****" in asked
    said = {"act": act_in(asked), "column-0-0": "phone", "column-0-2": "name", "remember": "yes"}
    twice = desk.post(f"{where}/mapping", said | {"column-0-1": "phone"})
    assert (twice.status_code, "mapping_twice" in twice.content.decode()) == (422, True)
    none = desk.post(f"{where}/mapping", {"act": said["act"], "column-0-2": "name"})
    assert (none.status_code, "mapping_incomplete" in none.content.decode()) == (422, True)
    again = desk.post(f"{where}/mapping", said).headers["Location"]
    with acting("work"):
        jobs.process_waiting()
    html = html_of(desk, again)
    assert re.findall(r'<span class="value number">([\d,]+)</span>', html) == ["3", "3", "0", "0", "0", "0"]
    assert "人工指定" in html
    # The next list of that form needs no question; then the unit changes its mind.
    form |= {"act": act_in(html_of(desk, "/intake/upload")), "file": SimpleUploadedFile("乙.csv", data)}
    next_one = desk.post("/intake/upload", form).headers["Location"]
    with acting("work"):
        jobs.process_waiting()
    assert "按上次指定" in html_of(desk, next_one)
    asked = html_of(desk, f"{next_one}/mapping")
    forgotten = desk.post(f"{next_one}/mapping", {"act": act_in(asked), "forget": "yes"}).headers["Location"]
    with acting("work"):
        jobs.process_waiting()
    assert "column_unclear" in html_of(desk, forgotten)
    assert client("zhen").get(f"{where}/mapping").status_code == 404


def test_a_roll_sent_as_a_list_is_named_and_taken_only_if_somebody_says_so(city, acting):
    desk, given = client("shi"), people("roll", 2)
    lines = [["户主", "姓名", "身份证", "手机"], *([one.name, one.name, one.doc, one.phone] for one in given)]
    form = {
        "act": act_in(html_of(desk, "/intake/upload")),
        "source": "community",
        "unclassified": "yes",
        "file": SimpleUploadedFile("台账.csv", csv([*lines, ["填表人：张三"]]).encode()),
    }
    where = desk.post("/intake/upload", form).headers["Location"]
    with acting("work"):
        jobs.process_waiting()
    html = html_of(desk, where)
    assert "list_of_households" in html
    assert "人房台账" in html
    assert f'href="{where}/mapping"' in html
    said = {"act": act_in(html_of(desk, f"{where}/mapping")), "column-0-1": "name", "column-0-2": "doc", "column-0-3": "phone"}
    again = desk.post(f"{where}/mapping", said).headers["Location"]
    with acting("work"):
        jobs.process_waiting()
    html = html_of(desk, again)
    assert re.findall(r'<span class="value number">([\d,]+)</span>', html)[:2] == ["2", "2"]
    assert "没有当作人员（行号）：4" in html, "the line that was left out is named"


def test_every_fault_of_the_first_refused_rows_is_named_with_its_cell(city):
    one, two, three = people("faults", 3)
    lines = [HEAD, one.cells(), [two.name, two.doc[:17], "123", two.origin, "昨天", two.address], [three.name, "", "", "", "", ""]]
    file, accounts, _ = take_in("faults.xlsx", book({"甲": lines, "乙": [HEAD]}), "unit")
    assert accounts["rejected"] == 2
    wanted = [("甲!B3", "id_length"), ("甲!E3", "date_unreadable"), ("甲!C3", "phone_bad"), ("甲!B4", "no_identity")]
    assert queries.refused_cells(post(), file.id, 20) == wanted
    assert queries.refused_cells(post(), file.id, 1) == wanted[:3]
    assert all(sentence_of(code) and "?" not in sentence_of(code) for _, code in wanted)
