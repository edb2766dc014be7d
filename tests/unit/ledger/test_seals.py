"""The chain of seals: what it closes, what it leaves open, and what a superuser cannot do unnoticed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from bihuan.kernel import ids
from bihuan.ledger import heads, seals, verify
from bihuan.ledger.models import Seal

BEGAN = datetime(2022, 8, 28, tzinfo=UTC)


def minute(n: int) -> datetime:
    return BEGAN + timedelta(minutes=n)


def test_each_fact_is_in_one_seal(facts) -> None:
    facts(3)
    first = seals.seal_minute(minute(1))
    assert (first.epoch, first.no, first.n_facts) == (1, 1, 3)
    assert seals.seal_minute(minute(2)) is None, "nothing new"
    facts(2, 2)
    second = seals.seal_minute(minute(3))
    assert (second.no, second.n_facts) == (2, 2)
    assert seals.verify_chain() == []
    assert seals.head().chain == second.chain
    assert seals.unsealed() == 0


def test_a_transaction_still_running_waits_for_the_next_seal(facts, as_role) -> None:
    with as_role("work") as slow:
        facts(1, 0, slow)
        facts(2)
        assert seals.seal_minute(minute(1)) is None, "the slow one began first: nothing is closed above it"
        slow.commit()
    assert seals.seal_minute(minute(2)).n_facts == 3
    assert seals.verify_chain() == []


def test_a_cut_off_is_the_last_seal_before_it(facts) -> None:
    facts(1)
    seals.seal_minute(minute(1))
    facts(1, 9)
    seals.seal_minute(minute(5))  # the clock asked before the fact was heard: the seal stands after it
    assert seals.cutoff(minute(0)) is None
    assert seals.cutoff(minute(8)).no == 1
    assert seals.cutoff(minute(9)).no == 2


def test_null_and_empty_do_not_look_alike(facts, as_role) -> None:
    (fact,) = facts(1)
    seals.seal_minute(minute(1))
    with as_role("superuser") as db:
        db.execute("UPDATE fact SET region = NULL, device_seq = 0 WHERE id = %s", [fact])
    gaps = seals.verify_chain()
    assert [gap.fact for gap in gaps] == [fact]


TAMPERINGS = {
    "edit": "UPDATE fact SET happened_at = happened_at - interval '1 day' WHERE id = %(fact)s",
    "edit the digest": "UPDATE fact SET digest = sha256('x') WHERE id = %(fact)s",
    "edit the salt": "UPDATE fact SET salt = uuid_send(gen_random_uuid()) WHERE id = %(fact)s",
    "delete": "DELETE FROM fact WHERE id = %(fact)s",
    "move behind another seal": "UPDATE fact SET xid = '9223372036854775807' WHERE id = %(fact)s",
    "change a leaf": "UPDATE seal SET leaves = overlay(leaves PLACING sha256('x') FROM 1) WHERE no = %(no)s",
    "change a root": "UPDATE seal SET root = sha256('x') WHERE no = %(no)s",
    "change a time": "UPDATE seal SET sealed_at = sealed_at + interval '1 second' WHERE no = %(no)s",
    "delete a seal": "DELETE FROM seal WHERE no = %(no)s",
    "cut off the tail": "DELETE FROM seal WHERE no > %(no)s - 1",
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_found_and_named(facts, as_role, name: str) -> None:
    made = []
    for n in range(4):
        made.append(facts(4, n))
        seals.seal_minute(minute(n + 1))
    heads.bring()
    assert verify.seal_broken().gaps == []
    dice = Random(name)
    no = dice.randrange(1, Seal.objects.count())
    fact = dice.choice(made[no])
    with as_role("superuser") as db:
        db.execute(TAMPERINGS[name], {"fact": fact, "no": no})
    gaps = verify.seal_broken().gaps
    assert gaps, name
    if "edit" in name:
        assert gaps[0].fact == fact
    if "seal" in name.split() and name.startswith(("change", "delete a")):
        assert f"/{no}" in gaps[0].what or f"/{no + 1}" in gaps[0].what


def test_an_insert_behind_a_seal_is_named(facts, as_role) -> None:
    facts(2)
    seals.seal_minute(minute(1))
    forged = ids.new_id()
    with as_role("superuser") as db:
        db.execute(facts.insert, {"ids": [forged], "at": minute(0)})
        db.execute("UPDATE fact SET xid = (SELECT min(xid::text::bigint) FROM fact)::text::xid8 WHERE id = %s", [forged])
    assert [gap.fact for gap in seals.verify_chain()] == [forged]


def test_a_chain_written_anew_differs_from_what_was_kept(facts, as_role, tmp_path) -> None:
    """Whoever may write everything can make a chain that holds; a head on paper or in a file elsewhere tells."""
    (fact, _) = facts(2)
    seals.seal_minute(minute(1))
    heads.bring()
    on_paper = tmp_path / "heads"
    on_paper.write_text(f"{seals.head()}\n", "utf-8")
    with as_role("superuser") as db:
        db.execute("DELETE FROM seal")
        db.execute("UPDATE fact SET happened_at = received_at - interval '1 day' WHERE id = %s", [fact])
    assert seals.seal_minute(minute(1)) is not None
    assert seals.verify_chain() == []
    assert "rewritten" in verify.seal_broken(kept=verify.kept_heads(on_paper)).gaps[0].what
    assert "rewritten" in verify.seal_broken().gaps[0].what, "the installation's own file has the old head too"


def test_a_restored_dump_begins_a_new_epoch(facts, as_role) -> None:
    facts(2)
    seals.seal_minute(minute(1))
    left_over = facts(1, 2)
    with as_role("superuser") as db:  # as after a restore elsewhere: all numbers lie ahead of the new server's
        db.execute("UPDATE fact SET xid = ((xid::text)::bigint + 1000000000)::text::xid8")
        db.execute("DELETE FROM seal")
    # The old server's seal, made with its numbers.
    with as_role("superuser") as db:
        upto = db.execute("SELECT max(xid::text::bigint) FROM fact WHERE id <> %s", [left_over[0]]).fetchone()[0] + 1
    _seal_as(1, 1, upto, minute(1))
    facts(2, 5)  # heard before the first seal of the new server
    first = seals.seal_minute(minute(6))
    assert (first.epoch, first.no, first.n_facts) == (2, 1, 1)
    second = seals.seal_minute(minute(6))
    assert (second.epoch, second.no, second.n_facts) == (2, 2, 2)
    assert seals.verify_chain() == []


def _seal_as(epoch: int, no: int, upto: int, at) -> None:
    condition, parameters = seals._range(None, epoch, upto, {})
    columns = f"salt, record_send(ROW({seals.HEADER}))"
    leaves = [seals.leaf(*seals._fields(row)) for row in seals._stream(columns, condition, parameters, "id")]
    root = seals.root_of(leaves)
    chain = seals.chain_of(seals.START, root, epoch=epoch, no=no, upto=upto, n_facts=len(leaves), sealed_at=at)
    Seal.objects.create(epoch=epoch, no=no, upto=upto, n_facts=len(leaves), leaves=b"".join(leaves), root=root, chain=chain, sealed_at=at)


def test_the_root_of_few_leaves() -> None:
    from hashlib import sha256

    a, b, c = (bytes([n]) * 32 for n in range(3))
    ab = sha256(b"\x01" + a + b).digest()
    assert seals.root_of([a]) == a
    assert seals.root_of([a, b, c]) == sha256(b"\x01" + ab + c).digest()
