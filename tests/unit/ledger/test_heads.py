"""Heads of the chain outside the database: signed, continued, and what a keeper refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.test import override_settings

from bihuan.kernel.refused import Refused
from bihuan.ledger import heads, jobs, seals, verify
from bihuan.ledger.models import Seal

BEGAN = datetime(2022, 8, 28, tzinfo=UTC)


@pytest.fixture(autouse=True)
def own_keys(tmp_path) -> Iterator[None]:
    (home := tmp_path / "home").mkdir()
    with override_settings(HOME=home, MASTER_KEY_FILE=home / "keys" / "master.key"):
        yield


@pytest.fixture
def sealed(facts):
    """`sealed(n)`: n more minutes, each with two facts."""

    def more(n: int) -> None:
        first = Seal.objects.count()
        for minute in range(first, first + n):
            facts(2, minute)
            seals.seal_minute(BEGAN + timedelta(minutes=minute + 1))

    return more


def refusal(fn, *arguments, **named) -> str:
    with pytest.raises(Refused) as raised:
        fn(*arguments, **named)
    return f"{raised.value.code} {raised.value.where or ''}".strip()


def forge(as_role, no: int) -> None:
    """Rewrites a seal and links all later ones anew: the chain holds."""
    with as_role("superuser") as db:
        rows = db.execute("SELECT epoch, no, upto, n_facts, root, chain, sealed_at FROM seal ORDER BY epoch, no").fetchall()
        before = seals.START
        for epoch, at, upto, n, root, chain, sealed_at in rows:
            if at < no:
                before = chain
                continue
            moved = sealed_at + timedelta(microseconds=at == no)
            before = seals.chain_of(before, root, epoch=epoch, no=at, upto=upto, n_facts=n, sealed_at=moved)
            db.execute("UPDATE seal SET chain = %s, sealed_at = %s WHERE no = %s", [before, moved, at])


def test_a_file_elsewhere_gets_what_it_has_not_and_nothing_twice(sealed, tmp_path) -> None:
    elsewhere = tmp_path / "stick" / "city.heads"
    elsewhere.parent.mkdir()
    sealed(2)
    assert heads.bring(elsewhere).n_new == 2
    sealed(1)
    assert (heads.bring(elsewhere).n_new, heads.bring(elsewhere).n_new) == (1, 0)
    kept = heads.read(elsewhere)
    assert sorted(kept.lines) == [(1, 1), (1, 2), (1, 3)]
    assert kept.unreadable == []
    assert verify.seal_broken(kept=verify.kept_heads(elsewhere)).gaps == []


def test_a_line_cut_off_by_a_crash_is_written_again(sealed) -> None:
    sealed(2)
    own = heads.bring().path
    own.write_bytes(own.read_bytes()[:-40])
    assert heads.bring().n_new == 1
    assert sorted(heads.read(own).lines) == [(1, 1), (1, 2)]


def test_a_flipped_bit_in_a_kept_line_is_named(sealed, tmp_path) -> None:
    sealed(3)
    own = heads.bring().path
    whole = own.read_bytes()
    second = whole.index(b"\n1 2 ") + 8
    for bit in range(8):
        damaged = tmp_path / f"{bit}.heads"
        damaged.write_bytes(whole[:second] + bytes([whole[second] ^ (1 << bit)]) + whole[second + 1 :])
        assert "heads line 3" in verify.seal_broken(kept=verify.kept_heads(damaged)).gaps[0].what


def test_a_chain_written_anew_is_not_kept_and_named_from_where(sealed, as_role, tmp_path) -> None:
    elsewhere = tmp_path / "elsewhere.heads"
    sealed(4)
    heads.bring(elsewhere)
    before = elsewhere.read_bytes()
    forge(as_role, 3)
    assert seals.verify_chain() == []
    assert refusal(heads.bring, elsewhere) == "heads_rewritten 1/3"
    assert elsewhere.read_bytes() == before
    assert verify.seal_broken(kept=verify.kept_heads(elsewhere)).gaps[0].what == "seal 1/3 rewritten"


def test_a_cut_off_tail_is_named_until_somebody_says_that_it_was_a_restore(sealed, as_role, tmp_path) -> None:
    elsewhere = tmp_path / "elsewhere.heads"
    sealed(4)
    heads.bring(elsewhere)
    with as_role("superuser") as db:
        upto = db.execute("SELECT upto FROM seal WHERE no = 2").fetchone()[0]
        db.execute("DELETE FROM seal WHERE no > 2")
        db.execute("DELETE FROM fact WHERE (xid::text)::bigint >= %s", [upto])
    assert refusal(heads.bring, elsewhere) == "heads_lost 1/3"
    assert [g.what for g in verify.seal_broken(kept=verify.kept_heads(elsewhere)).gaps] == ["seal 1/3 missing", "seal 1/4 missing"]
    assert seals.new_epoch(now=BEGAN + timedelta(minutes=2)).epoch == 2
    brought = heads.bring(elsewhere, restored=True)
    assert (brought.n_new, brought.lost, brought.last.at) == (1, 2, (2, 1))
    assert verify.seal_broken(kept=verify.kept_heads(elsewhere)).gaps == []
    sealed(1)
    assert heads.bring(elsewhere).n_new == 1


def test_a_witness_continues_and_refuses_what_does_not_follow(sealed, as_role, tmp_path) -> None:
    kept = tmp_path / "witness.heads"
    sealed(3)
    own = heads.bring().path
    early = heads.read(own)
    assert heads.receive(early, kept).n_new == 3
    sealed(2)
    heads.bring()
    late = heads.read(own)
    assert heads.receive(late, kept).n_new == 2
    assert refusal(heads.receive, early, kept) == "heads_lost 1/4"

    forge(as_role, 4)
    own.unlink()  # whoever owns the machine has its key too
    heads.bring()
    assert refusal(heads.receive, heads.read(own), kept) == "heads_rewritten 1/4"

    gap = heads.read(own)
    del gap.lines[(1, 2)]
    assert refusal(heads.receive, gap, tmp_path / "new.heads") == "heads_broken 1/3"


def test_what_the_sender_calls_lost_is_not_lost_for_the_witness(sealed, as_role, tmp_path) -> None:
    """Whoever cut off the tail can also say that it was a restore: the witness keeps asking somebody on its own side."""
    kept = tmp_path / "witness.heads"
    sealed(4)
    own = heads.bring().path
    heads.receive(heads.read(own), kept)
    with as_role("superuser") as db:
        db.execute("DELETE FROM seal WHERE no > 2")
    assert seals.new_epoch(now=BEGAN + timedelta(minutes=2)).epoch == 2
    heads.bring(restored=True)
    before = kept.read_bytes()
    assert refusal(heads.receive, heads.read(own), kept) == "heads_lost 1/3"
    assert kept.read_bytes() == before
    brought = heads.receive(heads.read(own), kept, restored=True)
    assert (brought.n_new, brought.lost, brought.last.at) == (1, 2, (2, 1))
    assert heads.receive(heads.read(own), kept).n_new == 0, "said once"
    assert heads.receive(heads.read(own), tmp_path / "new.heads").n_new == 3, "who begins now keeps what is there"


def test_a_witness_takes_no_other_key_and_no_unsigned_line(sealed, tmp_path) -> None:
    kept = tmp_path / "witness.heads"
    sealed(2)
    own = heads.bring().path
    heads.receive(heads.read(own), kept)
    heads.key_file().unlink()
    own.unlink()
    sealed(1)
    heads.bring()
    assert refusal(heads.receive, heads.read(own), kept) == "heads_key"
    assert heads.receive(heads.read(own), kept, new_key=True).n_new == 1
    on_paper = heads.parse([f"{seals.head()}\n"])
    assert refusal(heads.receive, on_paper, kept) == "heads_unreadable"


def test_the_worker_seals_and_keeps_elsewhere(facts, tmp_path) -> None:
    facts(2)
    jobs.seal()
    with override_settings(KEEP=[f"{tmp_path}/nowhere/", str(tmp_path)]), pytest.raises(Refused, match="keep_place_missing"):
        jobs.keep()
    assert heads.read(tmp_path / heads.own_file().name).last.at == (1, 1), "the other place has it all the same"


def test_the_root_of_a_day_changes_with_any_seal_of_it(sealed, as_role) -> None:
    from bihuan.ledger import daily

    sealed(3)
    day = daily.of((BEGAN + timedelta(hours=8)).date())
    assert (day.n_seals, day.n_facts, day.last) == (3, 6, "1/3")
    assert daily.html(day).count(day.fingerprint) == 1
    forge(as_role, 2)
    again = daily.of(day.on)
    assert again.root != day.root
    assert daily.of(day.on - timedelta(days=1)).n_seals == 0
