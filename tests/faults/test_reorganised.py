"""A township goes to a zone and a village ends in the middle of it: accounts balance before, after, and as they were then."""

from __future__ import annotations

from datetime import timedelta

from tests.morning import count, take_in

from bihuan.access import queries as access
from bihuan.kernel import clock, ids
from bihuan.ledger import jobs as ledger
from bihuan.loops import jurisdiction, verify

HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
HOME = "连云港市连云区板桥街道板桥社区居委会"


def people(first: int, n: int) -> bytes:
    rows = (f"王小{'一二三四五六七八九'[k]},,138000{k:05d},上海市,2022-08-27 10:00,{HOME}{k}号楼\n" for k in range(first, first + n))
    return (HEAD + "".join(rows)).encode()


def test_balances_before_after_and_of_past_dates(city, as_role, acting) -> None:
    from bihuan.policy import installation

    console = access.post_of("console")
    moments, then = [], []

    def seal() -> None:
        """Some minutes go by, what is so is sealed, some more go by."""
        with acting("work"):
            for then_seal in (True, False):
                installation.advance(timedelta(minutes=5))
                installation.forget()
                if then_seal:
                    ledger.seal()
            moments.append(clock.now())
            report = verify.verify()
            assert report.ok, report.gaps
            then.append(verify.verify(moments[-1]).balance)

    take_in("a.csv", people(0, 4), "community")
    seal()
    with as_role("superuser") as db:
        region = count(db, "SELECT id FROM region WHERE division_code = 320703005000")
        ending = count(db, "SELECT id FROM unit WHERE name = '板桥社区居委会'")
        heir = count(db, "SELECT id FROM unit WHERE name = '跃进社区居委会'")
    with acting("work"):
        assert jurisdiction.recode(by=console, region=region, new_scope=320790005000, act=ids.new_id()).n_rescoped == 4
    take_in("b.csv", people(4, 2), "community")
    seal()
    with acting("work"):
        assert jurisdiction.close_unit(by=console, unit=ending, successor=heir, act=ids.new_id()).n_reassigned == 6
    seal()

    with acting("work"):
        for moment, balance in zip(moments, then, strict=True):
            again = verify.verify(moment)
            assert again.ok, again.gaps
            assert again.balance == balance, "what was so at a past moment stays so"
    held = [balance["event"] for balance in then]
    assert [h["held_end"] for h in held] == [4, 6, 6]
    assert [h["moved_in"] for h in held] == [h["moved_out"] for h in held] == [0, 0, 6]
    assert all(h["holds"] for h in held)
    with as_role("superuser") as db:
        assert db.execute("SELECT owner, count(*) FROM loop WHERE closed_at IS NULL GROUP BY 1").fetchall() == [(heir, 6)]
