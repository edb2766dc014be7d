"""Officers decide who is who, and read identities for a purpose."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from bihuan.access import scope
from bihuan.identity import actions, queries
from bihuan.identity.facts import pair_of
from bihuan.kernel import ids
from bihuan.kernel.refused import Refused

ANN, BEA = "320706198001010019", "320706197505050021"


def aliases(matched) -> list[UUID]:
    return [UUID(s) for s in matched.aliases]


@pytest.fixture
def asked(world, as_role):
    """Two documents of one name and phone, and the name with the phone; everybody in sight of the city's desk."""
    ann, bea, unsure = aliases(world.bring([("王梅", ANN, "13800000001"), ("王梅", BEA, "13800000001"), ("王梅", None, "13800000001")]))
    see(as_role, world.city, ann, bea, unsure)
    return ann, bea, unsure


def see(as_role, post, *subjects: UUID) -> None:
    """As a duty would make them seen; without one, the next relinking takes the sight away again."""
    with as_role("work") as db:
        for subject in subjects:
            db.execute("INSERT INTO visible (subject, scope, unit) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", [subject, 1, post.unit_id])


def state(as_role) -> tuple:
    """Roots, standing automatic links, open duties to settle."""
    with as_role("work") as db:
        return (
            dict(db.execute("SELECT subject, root FROM cluster").fetchall()),
            set(db.execute("SELECT a, b FROM link WHERE ended_by IS NULL AND rule <> 'officer'").fetchall()),
            {pair_of(key) for (key,) in db.execute("SELECT key FROM loop WHERE kind = 'identity.settle' AND closed_at IS NULL").fetchall()},
        )


def gaps(acting) -> list:
    with acting("work"):
        return [*queries.cluster_gaps(), *queries.link_gaps()]


def code(answer) -> str | None:
    return answer.code if isinstance(answer, Refused) else None


def test_saying_same_joins_and_settles_every_question(world, asked, as_role, acting):
    ann, bea, unsure = asked
    assert state(as_role)[2] == {(unsure, ann), (unsure, bea)}
    done = actions.settle(by=world.city, event=world.event, a=unsure, b=ann, same=True, reason="电话核实")
    assert done.relinked == (unsure,)
    roots, _, duties = state(as_role)
    assert roots[unsure] == ann
    assert duties == set()
    assert gaps(acting) == []


def test_saying_different_leaves_the_other(world, asked, as_role, acting):
    ann, bea, unsure = asked
    actions.settle(by=world.city, event=world.event, a=unsure, b=ann, same=False, reason="本人否认")
    roots, links, duties = state(as_role)
    assert (roots[unsure], links, duties) == (bea, {(unsure, bea)}, set())
    world.bring([("王梅", None, "13800000001"), ("王梅", ANN, "13800000001")])
    assert state(as_role)[0][unsure] == bea
    assert gaps(acting) == []


def test_a_decision_repeated_is_one_decision(world, asked):
    ann, _, unsure = asked
    act = ids.new_id()
    first, again = (
        actions.settle(by=world.city, event=world.event, a=unsure, b=ann, same=True, reason="电话核实", act=act) for _ in range(2)
    )
    assert (first.fact, first.repeated, again.fact, again.repeated) == (first.fact, False, first.fact, True)
    assert code(actions.settle(by=world.city, event=world.event, a=unsure, b=ann, same=True, reason="电话核实")) == "identity_not_asked"


def test_unlinking_parts_an_automatic_link_for_good(world, as_role, acting):
    ann, named, phone = aliases(world.bring([("王梅", ANN, "13800000001"), ("王梅", None, "13800000001"), (None, None, "13800000001")]))
    see(as_role, world.city, ann, named, phone)
    before = state(as_role)
    assert actions.unlink(by=world.city, event=world.event, a=phone, b=ann, reason="号码已换人").relinked == (phone,)
    assert state(as_role)[0] == {ann: ann, named: ann, phone: phone}
    world.bring([(None, None, "13800000001"), ("王梅", ANN, "13800000001")])
    assert state(as_role)[0][phone] == phone
    see(as_role, world.city, phone, ann)
    actions.link(by=world.city, event=world.event, a=phone, b=ann, reason="重新核实")
    assert state(as_role)[0] == before[0]
    assert gaps(acting) == []


def test_parting_again_restores_both_persons_exactly(world, as_role, acting):
    ann, bea = aliases(world.bring([("王梅", ANN, "13800000001"), ("李山", BEA, "13800000002")]))
    more = aliases(world.bring([("王梅", None, "13800000001"), (None, None, "13800000002")]))
    see(as_role, world.city, ann, bea, *more)
    before = state(as_role)
    actions.link(by=world.city, event=world.event, a=ann, b=bea, reason="两本证件")
    assert set(state(as_role)[0].values()) == {min(ann, bea)}
    assert gaps(acting) == []
    see(as_role, world.city, ann, bea)
    actions.unlink(by=world.city, event=world.event, a=ann, b=bea, reason="录错")
    assert state(as_role)[0] == before[0]
    assert gaps(acting) == []


def test_when_two_desks_worked_on_one_person_an_officer_says_that_one_duty_is_enough(world, as_role, monkeypatch):
    from bihuan.loops import clusters

    ann, bea = aliases(world.bring([("王梅", ANN, "13800000001"), ("王玫", BEA, "13800000001")]))
    with as_role("superuser") as db:
        loops = [
            db.execute(
                "INSERT INTO loop (event, region, scope, owner, opened_at, subject, opened_by, kind, key, pack)"
                " SELECT %s, region_id, 1, id, '2022-08-28', %s, %s, 'leads.verify', 'k', 'p' FROM unit WHERE id = %s RETURNING id",
                [world.event, subject, uuid4(), world.city.unit_id],
            ).fetchone()[0]
            for subject in (ann, bea)
        ]
    see(as_role, world.city, ann, bea)
    monkeypatch.setattr(clusters, "after_relink", lambda *_: clusters.Relinked((), (), (tuple(loops),)))
    actions.link(by=world.city, event=world.event, a=ann, b=bea, reason="同一人")
    a, b = max(ann, bea), min(ann, bea)
    assert state(as_role)[2] == {(a, b)}
    actions.settle(by=world.city, event=world.event, a=ann, b=bea, same=True, reason="一人办理即可")
    assert state(as_role)[2] == set()
    with as_role("work") as db:
        left = db.execute("SELECT id, outcome FROM loop WHERE kind = 'leads.verify' ORDER BY id").fetchall()
        assert left == [(loops[0], None), (loops[1], "void")]
        assert db.execute("SELECT count(*) FROM doubt WHERE ended_by IS NULL").fetchone() == (0,)


def test_what_is_refused(world, asked, as_role):
    ann, bea, unsure = asked
    call = {"event": world.event, "reason": "理由"}
    assert code(actions.link(by=world.village, a=ann, b=bea, **call)) == "not_permitted"
    assert code(actions.link(by=world.city, a=ann, b=bea, event=world.event, reason="  ")) == "reason_missing"
    assert code(actions.link(by=world.city, a=ann, b=ann, **call)) == "identity_same_record"
    assert code(actions.link(by=world.city, a=ann, b=uuid4(), **call)) == "person_not_found"
    assert code(actions.settle(by=world.city, a=ann, b=bea, same=True, **call)) == "identity_not_asked"
    actions.unlink(by=world.city, a=ann, b=bea, **call)
    actions.link(by=world.city, a=unsure, b=ann, **call)
    see(as_role, world.city, ann, bea, unsure)
    before = state(as_role)
    assert code(actions.link(by=world.city, a=unsure, b=bea, **call)) == "identity_apart"
    assert state(as_role) == before


def test_two_joined_through_a_third_are_not_parted_from_each_other(world, as_role):
    ann, one, two = aliases(world.bring([("王梅", ANN, "13800000001"), ("王梅", None, "13800000001"), ("王梅", None, "13800000002")]))
    world.bring([("王梅", ANN, "13800000002")])
    see(as_role, world.city, ann, one, two)
    before = state(as_role)
    assert code(actions.unlink(by=world.city, event=world.event, a=one, b=two, reason="理由")) == "identity_joined_through"
    assert state(as_role) == before


def test_unmasking_needs_a_purpose_and_sight_and_is_kept(world, as_role):
    (ann,) = aliases(world.bring([("王小梅", ANN, "13800000001", "云台街道1号")]))
    world.bring([("王小梅", None, "13800000001")])
    assert code(actions.unmask(by=world.village, event=world.event, subject=ann, purpose="上门")) == "person_not_found"
    see(as_role, world.village, ann)
    assert code(actions.unmask(by=world.village, event=world.event, subject=ann, purpose=" ")) == "purpose_missing"
    whole = actions.unmask(by=world.village, event=world.event, subject=ann, purpose="上门")
    assert (whole.name, whole.docs, whole.phones, whole.addresses) == ("王小梅", (ANN,), ("13800000001",), ("云台街道1号",))
    with as_role("work") as db:
        kept = db.execute("SELECT purpose, unit, subject FROM fact WHERE kind = 'identity.unmasked'").fetchall()
    assert kept == [("上门", world.village.unit_id, ann)]
    with scope.acting(scope.of(world.village)):
        from django.db import transaction

        with transaction.atomic():
            shown = queries.masked([ann], event=world.event)[ann]
    assert (shown.name, shown.doc, shown.phone) == ("王*梅", "320***********0019", "138****0001")


def test_phones_are_read_by_who_holds_the_duty(world, asked, as_role):
    ann, _, unsure = asked
    see(as_role, world.village, unsure, ann)
    assert actions.phones_for_call(by=world.village, event=world.event, subjects=[unsure, ann]) == {}
    assert actions.phones_for_call(by=world.city, event=world.event, subjects=[unsure, ann]) == {unsure: ("13800000001",)}
    with as_role("work") as db:
        assert db.execute("SELECT f.purpose, u.reading FROM unmasked u JOIN fact f ON f.id = u.fact").fetchall() == [("call", "call")]


def test_out_of_sight_means_nothing_at_all(world, asked):
    from django.db import connection, transaction

    ann, bea, unsure = asked
    with scope.acting(scope.of(world.village)), transaction.atomic(), connection.cursor() as cursor:
        for table in ("person", "identity", "holding", "link", "doubt", "doubted"):
            cursor.execute(f"SELECT count(*) FROM {table}")
            assert cursor.fetchone() == (0,), table
        assert queries.masked([ann, bea, unsure], event=world.event) == {}


def test_without_the_engine_the_application_writes_no_identity(world, asked):
    import psycopg
    from django.db import ProgrammingError, connection, transaction

    ann, _, _ = asked
    for sql in (
        "INSERT INTO link (a, b, rule, fact, same) VALUES (%(s)s, %(s)s, 'officer', %(s)s, true)",
        "UPDATE person SET name = '' WHERE subject = %(s)s",
        "DELETE FROM holding WHERE subject = %(s)s",
        "UPDATE cluster SET root = subject WHERE subject = %(s)s",
    ):
        with (
            scope.acting(scope.of(world.city)),
            pytest.raises(ProgrammingError) as error,
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(sql, {"s": ann})
        assert isinstance(error.value.__cause__, psycopg.errors.InsufficientPrivilege)
