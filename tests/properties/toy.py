"""A module with three kinds of facts and three kinds of duties, on a small city: what the engine's tests work with.

`seen` and `told` name an occurrence (`episode`), `met` does not. A duty to check follows a `seen`, ends by a `told` that
says "here" and waits longer after one that says when to try again; a duty to follow up follows "here", and ends by a
`seen` without risk; a duty to stay in touch follows a `met`, and ends by one that says it is over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

from bihuan.kernel import clock, ids
from bihuan.ledger import kinds
from bihuan.loops import declare
from bihuan.loops.declare import After, By, LoopKind, When

OPENED_ON = date(2022, 8, 1)
BEGAN = datetime(2022, 8, 28, 2, tzinfo=UTC)  # 10:00 in Shanghai
DIVISIONS = """code,level,name
320000000000,1,江苏省
320700000000,2,连云港市
320703000000,3,连云区
320703008000,4,海州湾街道
320703008001,5,西墅村委会
320703008002,5,东哨村委会
320706000000,3,海州区
320706009000,4,云台街道
320706009001,5,山东村委会
"""
CITY, COUNTIES, TOWNSHIPS = 320700000000, (320703000000, 320706000000), (320703008000, 320706009000)
VILLAGES = (320703008001, 320703008002, 320706009001)
TABLES = """
CREATE TABLE toy_seen (fact uuid PRIMARY KEY, episode text, risk text, desk bigint);
CREATE TABLE toy_told (fact uuid PRIMARY KEY, episode text, answer text, next_at timestamptz);
CREATE TABLE toy_met (fact uuid PRIMARY KEY, over boolean);
GRANT SELECT ON toy_seen, toy_told, toy_met TO bihuan_app, bihuan_work;
GRANT SELECT, INSERT ON toy_seen, toy_told, toy_met TO bihuan_engine;
"""


@dataclasses.dataclass(frozen=True)
class Seen:
    episode: str
    risk: str  # none, low, high
    desk: int | None


@dataclasses.dataclass(frozen=True)
class Told:
    episode: str
    answer: str  # here, later, nobody
    next_at: datetime | None


@dataclasses.dataclass(frozen=True)
class Met:
    over: bool


def _declared() -> tuple:
    seen = kinds.FactKind("toy.seen", Seen, key="episode", table="toy_seen")
    told = kinds.FactKind("toy.told", Told, key="episode", table="toy_told")
    met = kinds.FactKind("toy.met", Met, table="toy_met")
    help_and_grace = {"ladder": lambda pack: pack.lead.help_after, "grace": lambda pack: pack.lead.grace}
    check = LoopKind(
        "toy.check", title="核查",
        opens={seen: When(lambda risk, ctx: risk != "none", reads=("risk",))},
        owner=By(lambda desk, risk, ctx: None if risk == "high" else desk, reads=("desk", "risk")),
        due=After("received_at", lambda pack: timedelta(hours=1)),
        closes={told: When(lambda answer, ctx: answer == "here", reads=("answer",))},
        works=frozenset({told}), extends={told: "next_at"}, **help_and_grace,
    )  # fmt: skip
    follow = LoopKind(
        "toy.follow", title="跟进",
        opens={told: When(lambda answer, ctx: answer == "here", reads=("answer",))},
        owner=By(lambda ctx: ctx.city_desk),
        due=After("received_at", lambda pack: timedelta(hours=3)),
        closes={seen: When(lambda risk, ctx: risk == "none", reads=("risk",))}, **help_and_grace,
    )  # fmt: skip
    touch = LoopKind(
        "toy.touch", title="联系",
        opens={met: When(lambda over, ctx: not over, reads=("over",))},
        owner=By(lambda ctx: ctx.city_desk), due=None,
        closes={met: When(lambda over, ctx: over, reads=("over",))}, **help_and_grace,
    )  # fmt: skip
    return (seen, told, met), (check, follow, touch)


(SEEN, TOLD, MET), (CHECK, FOLLOW, TOUCH) = _declared()
FACTS, DUTIES = (SEEN, TOLD, MET), (CHECK, FOLLOW, TOUCH)
for _kind in FACTS:
    del kinds._KINDS[_kind.name]
for _kind in DUTIES:
    del declare._KINDS[_kind.name]


@contextmanager
def declared() -> Iterator[None]:
    """Within, the engine knows this module; afterwards it does not: other tests look at everything declared.

    The other floors' checks of `verify` are left out meanwhile: clusters are set here without evidence.
    """
    from bihuan.loops import verify

    kinds._KINDS.update({kind.name: kind for kind in FACTS})
    declare._KINDS.update({kind.name: kind for kind in DUTIES})
    others, verify._registered = verify._registered, {}
    try:
        yield
    finally:
        verify._registered = others
        for kind in FACTS:
            kinds._KINDS.pop(kind.name)
        for kind in DUTIES:
            declare._KINDS.pop(kind.name)


class Clock:
    """Product time that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = BEGAN

    def __call__(self) -> tuple[timedelta, datetime | None]:
        return timedelta(0), self.at

    def advance(self, by: timedelta) -> datetime:
        self.at += by
        return self.at


@contextmanager
def standing_clock() -> Iterator[Clock]:
    before, mine = clock._source, Clock()
    clock.set_source(mine)
    try:
        yield mine
    finally:
        clock.set_source(before)


@dataclasses.dataclass(frozen=True)
class Town:
    """An event and the posts of its desks. `units`: division code -> the unit that answers there."""

    event: int
    units: dict[int, int]
    posts: dict[int, object]

    @property
    def city(self):
        return self.posts[CITY]

    def village(self, no: int = 0):
        return self.posts[VILLAGES[no]]


def found_town(folder: Path, as_owner: Callable) -> Town:
    """Load the city, its units, posts, event and rules; make the tables. Django's connection is the worker's role."""
    from django.db.backends.postgresql.psycopg_any import DateRange

    from bihuan.access.models import Officer, Post
    from bihuan.policy import actions as policy
    from bihuan.regions import queries, units
    from bihuan.regions.load import load_city

    (folder / "divisions.csv").write_text(DIVISIONS, "utf-8")
    (folder / "zones.toml").write_text("zone = []", "utf-8")
    load_city(3207, folder / "divisions.csv", folder / "zones.toml")
    units.make_units(3207, OPENED_ON)
    regions = queries.by_division([CITY, *COUNTIES, *TOWNSHIPS, *VILLAGES])
    answers = {code: queries.unit_for_region(region, OPENED_ON) for code, region in regions.items()}
    event = policy.open_event(
        disease="covid19", region=regions[CITY], name="t", opened_on=OPENED_ON, legal_basis="t", retention=timedelta(days=60)
    )
    policy.adopt(event=event.id, region=regions[CITY], pack="covid19/cn_9", version="2022-06-28", from_on=OPENED_ON, basis="t", by=1)
    posts = {}
    role_of = {CITY: "city_desk"} | dict.fromkeys(COUNTIES, "county_desk") | dict.fromkeys(TOWNSHIPS, "township_desk")
    for code, unit in answers.items():
        officer = Officer.objects.create(login=str(code), name=str(code), password="")
        posts[code] = Post.objects.select_related("officer").get(
            pk=Post.objects.create(
                officer=officer, unit_id=unit, role=role_of.get(code, "village_worker"), valid=DateRange(OPENED_ON, None)
            ).pk
        )
    with as_owner() as db:
        db.execute(TABLES)
    return Town(event.id, answers, posts)


def people(n: int) -> list[UUID]:
    """Aliases, each a person of its own until linked."""
    from django.db import connection, transaction

    made = sorted(ids.new_id() for _ in range(n))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO subject (id, kind) SELECT unnest(%s::uuid[]), 'person'", [made])
        cursor.execute("INSERT INTO cluster (subject, root) SELECT x, x FROM unnest(%s::uuid[]) x", [made])
    return made


def set_clusters(event: int, root_of: dict[UUID, UUID], *, by, act: UUID | None = None) -> object:
    """Say which aliases are one person, as `identity` does; duties follow. Returns what `after_relink` says."""
    from django.db import connection

    from bihuan.loops import clusters

    with connection.cursor() as cursor:
        cursor.execute("SELECT subject, root FROM cluster WHERE subject = ANY(%s)", [list(root_of)])
        was = dict(cursor.fetchall())
        cursor.execute(
            "UPDATE cluster c SET root = w.root FROM unnest(%s::uuid[], %s::uuid[]) AS w(subject, root) WHERE c.subject = w.subject"
            " AND c.root <> w.root RETURNING c.subject",
            [list(root_of), list(root_of.values())],
        )
        moved = [subject for (subject,) in cursor.fetchall()]
    return clusters.after_relink(event, moved, act or ids.new_id(), by, [was[subject] for subject in moved])
