"""Rows of lists in, persons out."""

from __future__ import annotations

from uuid import UUID

from bihuan.identity import queries
from bihuan.identity.models import Identity, Link

ADULT, OTHER_ADULT, CHILD = "320706198001010019", "320706197505050021", "320706201503030032"


def roots(matched) -> list[str]:
    return matched.roots.to_list()


def test_same_document_name_with_phone_and_phone_are_one_person(world):
    first = world.bring([("王小梅", ADULT, "13800000001")])
    later = world.bring([("王 小梅", None, "13800000001"), (None, None, "13800000001"), ("王小梅", ADULT.lower(), None)])
    assert set(roots(later)) == set(roots(first))
    assert later.n_new_persons == 0
    assert len(set(later.aliases.to_list())) == 3


def test_the_same_rows_again_change_nothing(world, as_role):
    rows = [("王小梅", ADULT, "13800000001", "云台街道1号"), ("王小梅", None, "13800000001", None), (None, None, "13800000002", None)]
    world.bring(rows)
    with as_role("work") as db:
        before = db.execute("SELECT (SELECT count(*) FROM fact), (SELECT array_agg(blob ORDER BY subject) FROM identity)").fetchone()
    again = world.bring(rows)
    assert (again.relinked, again.n_new_persons) == ([], 0)
    with as_role("work") as db:
        assert (
            before == db.execute("SELECT (SELECT count(*) FROM fact), (SELECT array_agg(blob ORDER BY subject) FROM identity)").fetchone()
        )


def test_a_second_adult_holder_dissolves_the_link_of_a_phone(world):
    lone = world.bring([(None, None, "13800000001"), ("王小梅", ADULT, "13800000001")])
    assert len(set(roots(lone))) == 1
    family = world.bring([("李大山", OTHER_ADULT, "13800000001")])
    assert family.relinked == [lone.aliases[0]]
    assert len(set(roots(world.bring([(None, None, "13800000001"), ("王小梅", ADULT, None)])))) == 2


def test_a_name_at_a_door_is_a_person_of_its_own_until_somebody_says_more(world, acting):
    """Not linked by itself to the same name there with a document: that is asked; the same said again is the same person."""
    at_door = ("王小梅", None, None, "朐山村委会3组")
    alone = world.bring([at_door, ("王小妹", None, None, "朐山村委会3组"), ("王小梅", None, None, "朐山村委会4组")])
    assert len(set(roots(alone))) == 3
    assert alone.aliases.to_list() == roots(alone)
    known = world.bring([("王小梅", ADULT, "13800000001", "朐山村委会3组"), (None, None, "13800000001", None), at_door])
    assert known.n_new_persons == 1
    assert roots(alone)[0] not in known.relinked
    assert roots(known)[0] == roots(known)[1]
    assert roots(known)[2] == roots(alone)[0]
    with acting("work"):
        assert {(str(d.a), str(d.b)) for d in queries.doubts()} >= {(roots(alone)[0], roots(known)[0])}
        assert queries.link_gaps() == queries.cluster_gaps() == []


def test_children_do_not_hold_a_phone(world):
    child = world.bring([(None, None, "13800000001"), ("王宝", CHILD, "13800000001")])
    assert len(set(roots(child))) == 2
    mother = world.bring([("王小梅", ADULT, "13800000001")])
    assert child.aliases[0] in mother.relinked


def test_two_documents_of_one_name_and_phone_are_a_question(world, acting):
    world.bring([("王小梅", ADULT, "13800000001"), ("王小梅", None, "13800000001")])
    matched = world.bring([("王小梅", OTHER_ADULT, "13800000001")])
    with acting("work"):
        assert len(queries.doubts()) == 2
        assert queries.link_gaps() == queries.cluster_gaps() == []
        assert Link.objects.filter(ended_by=None).count() == 0
    assert len(matched.relinked) == 1


def test_a_repeated_act_makes_the_same_facts(world, as_role):
    from bihuan.kernel import ids

    act = ids.new_id()
    for _ in range(2):
        world.bring([("王小梅", ADULT, "13800000001"), ("王小梅", None, "13800000001")], act=act)
    with as_role("work") as db:
        assert db.execute("SELECT count(*), count(DISTINCT id) FROM fact WHERE act = %s", [act]).fetchone() == (1, 1)


def test_what_is_sealed_opens_for_its_own_alias_only(world, acting):
    from bihuan.identity import keys
    from bihuan.identity.match import opened

    matched = world.bring([("王小梅", ADULT, "13800000001", "云台街道1号")])
    world.bring([("王小梅", ADULT, "13800000002", "云台街道1号")])
    subject = UUID(matched.aliases[0])
    with acting("work"):
        blob = bytes(Identity.objects.get(subject=subject, event=world.event).blob)
        key = keys.data_key(world.event)
        assert ADULT.encode() not in blob
        whole = opened(key, blob, subject.bytes)
    assert (whole.doc, whole.phones, whole.addresses) == (ADULT, ("13800000001", "13800000002"), ("云台街道1号",))


def test_the_number_of_statements_does_not_depend_on_the_rows(world, monkeypatch):
    import psycopg

    n_statements = 0
    execute = psycopg.Cursor.execute

    def counted(self, *arguments, **options):
        nonlocal n_statements
        n_statements += 1
        return execute(self, *arguments, **options)

    world.bring([("甲", OTHER_ADULT, "13900000000"), ("甲", None, "13900000000")])  # what is asked once per process
    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    counts = []
    for n in (2, 200):
        n_statements = 0
        rows = [(f"王{n}{i}", f"{n}PASS{i}", f"138{n:04}{i:04}") for i in range(n)]
        world.bring(rows + [(name, None, phone) for name, _, phone in rows])
        counts.append(n_statements)
    assert 0 < counts[1] <= counts[0] + 2  # two, where what the process remembers for a moment had to be asked again
