"""The command line of packs."""

from __future__ import annotations

import contextlib
import json

from click.testing import CliRunner

from bihuan.site.cli import cli


def _run(*arguments: str, stdin: str = "") -> tuple[int, dict]:
    done = CliRunner().invoke(cli, ["packs", *arguments, "--json"], input=stdin)
    assert done.stdout, (done.stderr, done.exception)
    return done.exit_code, json.loads(done.stdout)


def test_check() -> None:
    code, answer = _run("check")
    assert (code, answer["ok"], answer["problems"]) == (0, True, [])


def test_check_fails_on_a_wrong_file(tmp_path, monkeypatch) -> None:
    from bihuan.policy import pack

    (tmp_path / "wrong.toml").write_text("this is no TOML", encoding="utf-8")
    monkeypatch.setenv("BIHUAN_PACKS", str(tmp_path))
    pack.library.cache_clear()
    try:
        code, answer = _run("check")
    finally:
        pack.library.cache_clear()
    assert code == 1
    assert [problem["code"] for problem in answer["problems"]] == ["pack_unreadable"]


def test_diff() -> None:
    code, answer = _run("diff", "covid19/cn_9@2022-06-28", "covid19/cn_9@2022-06-28+huaian138@2022")
    assert code == 0
    assert [change["zh"] for change in answer["changes"]][0] == "核实时限：24 小时 → 1 小时（更严）"
    assert {change["stricter"] for change in answer["changes"]} == {True}


def test_diff_refuses_what_is_not_there() -> None:
    code, answer = _run("diff", "covid19/cn_9@2022-06-28", "covid19/cn_9@2021")
    assert (code, answer["refused"]["code"]) == (2, "pack_unknown")


def test_one_proposes_and_another_signs_with_a_password_of_his_own(city, acting, monkeypatch) -> None:
    from datetime import date

    from django.contrib.auth.hashers import make_password

    from bihuan.access.models import Officer
    from bihuan.policy import pack
    from bihuan.site import postgres, setup

    monkeypatch.setattr(setup, "prepare", lambda role: None)  # the test's server and database stand already
    monkeypatch.setattr(postgres, "Use", lambda **_: contextlib.nullcontext())
    with acting("work"):
        for login in ("shi", "console", "cun"):
            Officer.objects.filter(login=login).update(password=make_password(f"{login} knows"))

    def approve(login: str, word: str) -> tuple[int, dict]:
        return _run("approve", "1", "--as", login, "--password-stdin", stdin=f"{word}\n")

    given = ("adopt", "covid19/cn_20@2022-11-11", "--basis", "文号", "--from", "2022-11-11")
    code, answer = _run(*given, "--as", "cun")
    assert (code, answer["refused"]["code"]) == (2, "not_permitted")
    code, answer = _run(*given)
    assert (code, answer["proposal"], answer["after"]) == (0, 1, "covid19/cn_20@2022-11-11")
    assert [row["pack"] for row in _run("proposals")[1]["proposals"]] == ["covid19/cn_20@2022-11-11"]
    for login, word, refused in (
        ("shi", "console knows", "sign_in_wrong"), ("console", "console knows", "adoption_needs_second_signer"),
        ("cun", "cun knows", "not_permitted"),
    ):  # fmt: skip
        code, answer = approve(login, word)
        assert (code, answer["refused"]["code"]) == (2, refused)
    assert pack.in_force(1, 320700000000000, date(2022, 11, 11)).document.id == "covid19/cn_9"  # nothing yet
    code, answer = approve("shi", "shi knows")
    assert (code, answer["in_force"]) == (0, "covid19/cn_20@2022-11-11")
    assert pack.in_force(1, 320700000000000, date(2022, 11, 11)).key == "covid19/cn_20@2022-11-11"
    adopted = answer["adoption"]
    assert {row["id"] for row in _run("adoptions")[1]["adoptions"]} >= {adopted}
    for wrong, code in (
        (("adopt", "covid19/cn_9@2022-06-28", "--basis", "文号", "--from", "9月5日"), "date_unreadable"),
        (("adopt", "covid19/cn_9@2022-06-28", "--basis", "文号", "--from", "2022-09-05"), "adoption_overlaps"),
        (("end", str(adopted), "--basis", "文号", "--from", "2022-11-12"), "adoption_not_begun"),
        (("end", "999", "--basis", "文号"), "adoption_unknown"),
        (("end", str(adopted), "--basis", "文号", "--as", "cun"), "not_permitted"),
    ):
        assert _run(*wrong)[1]["refused"]["code"] == code
    code, answer = _run("end", str(adopted), "--basis", "文号")  # withdrawn on the day on which it would have begun
    assert (code, answer["from_on"], answer["after"]) == (0, "2022-11-11", "covid19/cn_9@2022-06-28")
    assert _run("approve", "2", "--as", "console", "--password-stdin", stdin="console knows\n")[1]["refused"]["code"] == (
        "adoption_needs_second_signer"
    )
    assert _run("approve", "2", "--as", "shi", "--password-stdin", stdin="shi knows\n")[1]["ends"] == adopted
    assert pack.in_force(1, 320700000000000, date(2022, 11, 11)).key == "covid19/cn_9@2022-06-28"
    assert pack.in_force(1, 320700000000000, date(2022, 11, 10)).key == "covid19/cn_9@2022-06-28+huaian138@2022"


def test_another_event_is_opened_for_a_disease_that_has_a_pack(city, acting, monkeypatch) -> None:
    from bihuan.policy.models import Event
    from bihuan.site import postgres, setup

    monkeypatch.setattr(setup, "prepare", lambda role: None)
    monkeypatch.setattr(postgres, "Use", lambda **_: contextlib.nullcontext())
    given = ("--name", "基孔肯雅热", "--basis", "文号", "--retention-days", "90", "--json")
    with acting("work"):
        done = CliRunner().invoke(cli, ["city", "event", "--disease", "plague", *given])
        assert json.loads(done.stdout)["refused"]["code"] == "disease_unknown"
        done = CliRunner().invoke(cli, ["city", "event", "--disease", "chikungunya", *given])
        assert json.loads(done.stdout)["event"] == 2
        assert Event.objects.get(pk=2).region_id == Event.objects.get(pk=1).region_id
