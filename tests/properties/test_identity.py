"""Links are what the rules say of all evidence, in whatever order and portions it comes, and whatever officers decide."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from bihuan.identity import actions, queries
from bihuan.kernel.refused import Refused

_spec = importlib.util.spec_from_file_location("identity_world", Path(__file__).parents[1] / "unit" / "identity" / "conftest.py")
_world = importlib.util.module_from_spec(_spec)

# Adults of two years, a child, somebody who comes of age after the opening day, a passport; few names and phones: many collisions.
DOCUMENTS = ["320706198001010019", "320706197505050021", "320706201503030032", "320706200408020045", "E12345678"]
NAMES, PHONES = [None, "王梅", "李山", "王玫"], [None, "13800000001", "13800000002", "13800000003"]
PLACES = ["朐山村委会3组", "朐山村委会4组"]
ROWS = st.tuples(*map(st.sampled_from, (NAMES, [None, None, *DOCUMENTS], PHONES, [None, *PLACES]))).filter(
    lambda row: row[1] or row[2]
) | st.tuples(*map(st.sampled_from, (NAMES[1:], [None], [None], PLACES)))
LISTS = st.lists(ROWS, min_size=1, max_size=14)
TABLES = (
    "subject, cluster, visible, person, identity, holding, link, judged, doubt, linked, unlinked, doubted, settled,"
    " fact, conflict, loop, movement, timer, tally_delta, handled"
)
WITH_DOCUMENTS = "SELECT subject FROM cluster WHERE subject < '40000000-0000-0000-0000-000000000000' ORDER BY 1"
IN_SIGHT = "INSERT INTO visible (subject, scope, unit) SELECT subject, 1, %s FROM cluster ON CONFLICT DO NOTHING"


@pytest.fixture
def world(db, acting, as_role, tmp_path):
    import sys

    sys.modules[_spec.name] = _world
    _spec.loader.exec_module(_world)
    made = _world.make_world(acting, tmp_path)

    def emptied():
        with as_role("superuser") as connection:
            connection.execute(f"TRUNCATE {TABLES}")
        return made

    return emptied


def portions(rows: list, cuts: list[int]) -> list[list]:
    edges = sorted({c % (len(rows) + 1) for c in cuts} | {0, len(rows)})
    return [rows[a:b] for a, b in zip(edges, edges[1:], strict=False)]


def ends(as_role) -> tuple:
    with as_role("work") as db:
        return (
            dict(db.execute("SELECT subject, root FROM cluster").fetchall()),
            set(db.execute("SELECT a, b, rule FROM link WHERE ended_by IS NULL AND rule <> 'officer'").fetchall()),
            sorted(db.execute(
                "SELECT c.root::text, left(l.key, 73) FROM loop l JOIN cluster c USING (subject)"
                " WHERE l.kind = 'identity.settle' AND l.closed_at IS NULL"
            ).fetchall()),
        )  # fmt: skip


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=LISTS, cuts=st.lists(st.integers(0, 20), max_size=3), data=st.data())
def test_the_order_of_lists_does_not_matter(world, as_role, acting, rows, cuts, data):
    reached = []
    for order in (rows, data.draw(st.permutations(rows))):
        here = world()
        for portion in portions(order, cuts):
            here.bring(portion)
        reached.append(ends(as_role))
    assert reached[0] == reached[1]
    with acting("work"):
        assert [*queries.link_gaps(), *queries.cluster_gaps()] == []


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_links_are_what_the_rules_say_after_any_acts(world, as_role, acting, data):
    """Random lists and decisions; the rules in memory, and the links alone, say the same as the tables."""
    here = world()
    for _ in range(data.draw(st.integers(1, 5))):
        here.bring(data.draw(LISTS))
        with as_role("work") as db:
            known = [s for (s,) in db.execute("SELECT subject FROM cluster ORDER BY 1").fetchall()]
        for _ in range(data.draw(st.integers(0, 3))):
            with as_role("work") as db:
                db.execute(IN_SIGHT, [here.city.unit_id])
            a, b = data.draw(st.sampled_from(known)), data.draw(st.sampled_from(known))
            act = data.draw(st.sampled_from([actions.link, actions.unlink]))
            act(by=here.city, event=here.event, a=UUID(str(a)), b=UUID(str(b)), reason="随机")
        with acting("work"):
            assert [*queries.link_gaps(), *queries.cluster_gaps()] == []
        with as_role("work") as db:
            asked = db.execute("SELECT count(*) FROM doubt WHERE ended_by IS NULL").fetchone()
            owed = db.execute("SELECT count(*) FROM loop WHERE kind = 'identity.settle' AND closed_at IS NULL").fetchone()
        assert asked == owed


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=LISTS, data=st.data())
def test_joining_two_documents_and_parting_them_restores_both_persons(world, as_role, rows, data):
    """Facts and duties name aliases and never moved; only the persons, the links and the open questions change, and change back."""
    here = world()
    here.bring(rows)
    with as_role("work") as db:
        documents = [s for (s,) in db.execute(WITH_DOCUMENTS).fetchall()]
    for _ in range(3 if len(documents) > 1 else 0):
        a, b = data.draw(st.permutations(documents))[:2]
        _joined_and_parted(here, as_role, a, b)


def test_three_on_a_second_phone_are_asked_about_once(world, as_role):
    """A question between two on a second phone of the family stands, and is not asked again when a third on it is judged."""
    here = world()
    here.bring(
        [
            (None, "320706200408020045", None),
            ("王梅", None, "13800000002"),
            ("王梅", "320706197505050021", "13800000001"),
            ("王玫", "320706198001010019", "13800000001"),
            ("王玫", "320706197505050021", "13800000002"),
            ("王玫", "320706201503030032", "13800000002"),
        ]
    )
    with as_role("work") as db:
        documents = [s for (s,) in db.execute(WITH_DOCUMENTS).fetchall()]
    for a, b in permutations(documents, 2):
        _joined_and_parted(here, as_role, a, b)


def _joined_and_parted(here, as_role, a, b) -> None:
    """All is as before, but for a question about just these two, which is answered: they are different people."""
    persons, links, asked = ends(as_role)
    for act in (actions.link, actions.unlink):
        with as_role("work") as db:
            db.execute(IN_SIGHT, [here.city.unit_id])
        assert not isinstance(act(by=here.city, event=here.event, a=a, b=b, reason="随机"), Refused)
    assert ends(as_role) == (persons, links, [q for q in asked if q[1] != f"{max(a, b)}:{min(a, b)}"])


def test_two_lists_at_once_see_each_other(world, as_role):
    """A document and its name with phone come in two transactions at the same time: they are linked, whoever commits first."""
    here = world()
    for n in range(8):
        lists = [[("王梅", f"PASS{n}", f"1380000{n:04}")], [("王梅", None, f"1380000{n:04}")]]
        with ThreadPoolExecutor(2) as pool:
            for answer in [pool.submit(_alone, here, rows) for rows in lists]:
                answer.result()
    with as_role("work") as db:
        assert db.execute("SELECT count(*), count(DISTINCT root) FROM cluster").fetchone() == (16, 8)


def _alone(here, rows) -> None:
    from django.db import connection

    try:
        here.bring(rows)
    finally:
        connection.close()


def test_a_new_address_of_a_known_document_is_evidence(world, as_role, acting):
    here = world()
    here.bring([("王梅", None, None, PLACES[0]), ("王梅", "320706200408020045", PHONES[3], PLACES[1])])
    here.bring([("王梅", "320706200408020045", None, PLACES[0])])
    with acting("work"):
        assert [*queries.link_gaps(), *queries.cluster_gaps()] == []
    with as_role("work") as db:
        assert db.execute("SELECT why FROM doubt WHERE ended_by IS NULL").fetchall() == [("near",)]


@pytest.mark.parametrize("other", ["13800000003", "13800000004", "13800000005", "13800000006"])
def test_what_evidence_asks_takes_the_place_of_a_near_name(world, as_role, acting, other):
    """Two documents share a name and a phone; a second phone of that name was asked about for its door, then joined to the first."""
    here = world()
    here.bring([("李山", "320706198001010019", PHONES[2], PLACES[0]), ("李山", "320706197505050021", PHONES[2], None)])
    here.bring([("李山", None, PHONES[2], None)])
    here.bring([("李山", None, other, PLACES[0])])
    with as_role("work") as db:
        db.execute(IN_SIGHT, [here.city.unit_id])
        no_document = [s for (s,) in db.execute(f"SELECT subject FROM cluster EXCEPT ({WITH_DOCUMENTS})").fetchall()]
        assert {w for (w,) in db.execute("SELECT why FROM doubt WHERE ended_by IS NULL").fetchall()} == {"evidence", "near"}
    a, b = no_document
    actions.link(by=here.city, event=here.event, a=a, b=b, reason="同一个人")
    with acting("work"):
        assert [*queries.link_gaps(), *queries.cluster_gaps()] == []
    with as_role("work") as db:
        asked = db.execute("SELECT count(*) FROM doubt WHERE ended_by IS NULL").fetchone()
        assert asked == db.execute("SELECT count(*) FROM loop WHERE kind = 'identity.settle' AND closed_at IS NULL").fetchone()
