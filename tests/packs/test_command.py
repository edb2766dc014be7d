"""The command line of packs, as far as it needs no officers."""

from __future__ import annotations

import json

from click.testing import CliRunner

from bihuan.site.cli import cli


def _run(*arguments: str) -> tuple[int, dict]:
    done = CliRunner().invoke(cli, ["packs", *arguments, "--json"])
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


def test_adopt_asks_who_may_and_who_else_signs(db, acting) -> None:
    from datetime import date, timedelta

    import pytest

    from bihuan.access.models import Officer, Post
    from bihuan.kernel import clock
    from bihuan.kernel.refused import Refused
    from bihuan.policy import actions, installation
    from bihuan.regions.models import Region, RegionScope, Unit
    from bihuan.site.cli import Run
    from bihuan.site.commands import packs

    began = date(2000, 1, 1)
    given = {"event": None, "region": None, "from_on": None, "basis": "demo", "approved_by": None, "reason": "", "expires": None}
    with acting("work"):
        installation.set_up(mode="demo", at=clock.parse_local("2022-08-28 08:00"))
        province = Region.objects.create(name="江苏省", short_name="江苏", level=1, division_code=320000000000)
        city = Region.objects.create(name="连云港市", short_name="连云港", level=2, division_code=320700000000, parent=province)
        RegionScope.objects.create(region=city, scope=320700000000000, valid=(began, None))
        desk = Unit.objects.create(region=city, kind="desk", name="市专班", valid=(began, None))
        for login, role in (("console", "city_desk"), ("head", "city_desk"), ("village", "village_worker")):
            officer = Officer.objects.create(login=login, name=login, password="!")
            Post.objects.create(officer=officer, unit=desk, role=role, valid=(began, None))
        actions.open_event(
            disease="covid19", region=city.id, name="演示", opened_on=date(2022, 8, 28), legal_basis="演示", retention=timedelta(days=1)
        )
        run = Run(True, "console")
        packs._adopt(run, pack="covid19/cn_9@2022-06-28", **given)
        overlay = given | {"pack": "overlays/jiangsu/huaian/138@2022"}
        alone = "adoption_needs_second_signer"
        for login, code in ((None, alone), ("console", alone), ("nobody", "officer_unknown"), ("village", "not_permitted")):
            with pytest.raises(Refused) as refused:
                packs._adopt(run, **overlay | {"approved_by": login})
            assert refused.value.code == code
        answer = packs._adopt(run, **overlay | {"approved_by": "head"})
        assert answer["in_force"] == "covid19/cn_9@2022-06-28+huaian138@2022"
        assert answer["from_on"] == date(2022, 8, 28)
