"""Links recomputed for what was touched, set-based. The meaning stands in `oracle`; `match` and `actions` call it.

Why no walk through links is needed: officers' decisions form groups (`judged`, few). A group without a document is
joined by rule 1 to at most one group with a document, a group of phones by rule 2 to at most one person. So a person is
at most three layers deep, and every root is found by joins.
"""

from __future__ import annotations

import dataclasses
from uuid import UUID

import polars as pl
import psycopg

from bihuan.identity import facts, near
from bihuan.identity.evidence import FIRST_NAME_PHONE as N0
from bihuan.identity.evidence import FIRST_PHONE as P0
from bihuan.kernel import ids
from bihuan.ledger.kinds import FactKind
from bihuan.loops import clusters
from bihuan.loops.copy_frame import copy_frame
from bihuan.loops.record import record_many

# Serialises whoever links: two lists imported at once must see each other's evidence.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('bihuan.identity', 0))"

_TEMPORARY = (
    "id_touched", "id_bridge", "id_held", "id_apart", "id_n", "id_cand", "id_target", "id_p", "id_hold", "id_phone_target",
    "id_desired", "id_moved", "id_near",
)  # fmt: skip

# From alias to alias of a group that officers made (few): the phones that lead from the one to the other.
_BRIDGE = """
CREATE TEMPORARY TABLE id_bridge ON COMMIT DROP AS
SELECT DISTINCT one.subject, h.phone_idx AS here, o.phone_idx AS there
FROM judged one JOIN judged other USING (root) JOIN holding o ON o.subject = other.subject LEFT JOIN holding h ON h.subject = one.subject"""

# Every holding that what follows can need, looked up once: those on the phones of what was touched, and where a group
# leads on to other phones, once by a name and once by a phone that an officer joined.
_HELD = """
CREATE TEMPORARY TABLE id_held ON COMMIT DROP AS
WITH touched AS (
  SELECT h.phone_idx FROM pg_temp.id_touched JOIN holding h USING (subject)
  UNION ALL SELECT b.there FROM pg_temp.id_touched JOIN pg_temp.id_bridge b USING (subject)),
phone AS (
  SELECT phone_idx FROM touched
  UNION SELECT unnest(ARRAY[b.there, c.there]) FROM touched t JOIN pg_temp.id_bridge b ON b.here = t.phone_idx
  LEFT JOIN pg_temp.id_bridge c ON c.here = b.there)
SELECT h.subject, h.phone_idx, h.name_key, coalesce(j.root, h.subject) AS g, c.root
FROM phone JOIN holding h USING (phone_idx) JOIN cluster c USING (subject) LEFT JOIN judged j USING (subject)"""

# Officers' "different", between groups, both ways.
_APART = """
CREATE TEMPORARY TABLE id_apart ON COMMIT DROP AS
SELECT coalesce(ja.root, p.a) AS x, coalesce(jb.root, p.b) AS y
FROM (SELECT a, b FROM link WHERE rule = 'officer' AND ended_by IS NULL AND NOT same
      UNION SELECT b, a FROM link WHERE rule = 'officer' AND ended_by IS NULL AND NOT same) p
LEFT JOIN judged ja ON ja.subject = p.a LEFT JOIN judged jb ON jb.subject = p.b"""

# Groups whose rule 1 must be decided again: touched names, names that meet a touched document, and whatever officers
# joined to them. A touched document alone needs it only where its root may change.
_N = f"""
CREATE TEMPORARY TABLE id_n ON COMMIT DROP AS
WITH seed AS (
  SELECT subject FROM pg_temp.id_touched WHERE subject >= '{N0}' AND subject < '{P0}'
  UNION
  SELECT t.subject FROM pg_temp.id_touched t JOIN cluster c USING (subject) LEFT JOIN judged j USING (subject)
  WHERE j.root IS NOT NULL OR (t.subject < '{N0}' AND c.root <> t.subject)
  UNION
  SELECT hn.subject
  FROM pg_temp.id_touched t JOIN pg_temp.id_held hd USING (subject)
  JOIN pg_temp.id_held hn ON hn.phone_idx = hd.phone_idx AND hn.name_key = hd.name_key
  WHERE t.subject < '{N0}' AND hn.subject >= '{N0}' AND hn.subject < '{P0}'),
groups AS (SELECT DISTINCT coalesce(j.root, s.subject) AS g FROM seed s LEFT JOIN judged j USING (subject))
SELECT groups.g, coalesce(j.subject, groups.g) AS n FROM groups LEFT JOIN judged j ON j.root = groups.g
WHERE groups.g < '{P0}'"""

_CANDIDATES = f"""
CREATE TEMPORARY TABLE id_cand ON COMMIT DROP AS
SELECT DISTINCT x.g, x.n, hd.subject AS d, hd.g AS dg
FROM pg_temp.id_n x
JOIN pg_temp.id_held hn ON hn.subject = x.n
JOIN pg_temp.id_held hd ON hd.phone_idx = hn.phone_idx AND hd.name_key = hn.name_key AND hd.subject < '{N0}'
WHERE x.g >= '{N0}' AND x.g < '{P0}' AND x.n >= '{N0}' AND x.n < '{P0}'
  AND NOT EXISTS (SELECT 1 FROM pg_temp.id_apart a WHERE a.x = x.g AND a.y = hd.g)"""

_TARGET = """
CREATE TEMPORARY TABLE id_target ON COMMIT DROP AS
SELECT g, (array_agg(dg ORDER BY dg))[1] AS dg FROM pg_temp.id_cand GROUP BY g HAVING count(DISTINCT dg) = 1"""

_DESIRED = """
CREATE TEMPORARY TABLE id_desired ON COMMIT DROP AS
SELECT DISTINCT ON (n) n AS a, d AS b, 'name_phone'::text AS rule
FROM pg_temp.id_cand JOIN pg_temp.id_target USING (g) ORDER BY n, d"""

_MOVED = """
CREATE TEMPORARY TABLE id_moved ON COMMIT DROP AS
SELECT x.n AS subject, c.root AS was, coalesce(t.dg, x.g) AS root
FROM pg_temp.id_n x JOIN cluster c ON c.subject = x.n LEFT JOIN pg_temp.id_target t ON t.g = x.g
WHERE c.root <> coalesce(t.dg, x.g)"""

# Phones whose rule 2 must be decided again: those of everything touched or regrouped above.
_P = f"""
CREATE TEMPORARY TABLE id_p ON COMMIT DROP AS
WITH phones AS (
  SELECT h.phone_idx FROM pg_temp.id_touched JOIN pg_temp.id_held h USING (subject)
  UNION SELECT h.phone_idx FROM pg_temp.id_n x JOIN pg_temp.id_held h ON h.subject = x.n),
seed AS (
  SELECT h.subject FROM phones JOIN pg_temp.id_held h USING (phone_idx) WHERE h.subject >= '{P0}'
  UNION SELECT subject FROM pg_temp.id_touched WHERE subject >= '{P0}'),
groups AS (SELECT DISTINCT coalesce(j.root, s.subject) AS g FROM seed s LEFT JOIN judged j USING (subject))
SELECT groups.g, coalesce(j.subject, groups.g) AS p FROM groups LEFT JOIN judged j ON j.root = groups.g"""

_HOLDERS = f"""
CREATE TEMPORARY TABLE id_hold ON COMMIT DROP AS
SELECT DISTINCT x.g, x.p, h.subject AS h, coalesce(m.root, h.root) AS root
FROM pg_temp.id_p x JOIN pg_temp.id_held hp ON hp.subject = x.p
JOIN pg_temp.id_held h ON h.phone_idx = hp.phone_idx AND h.subject < '{P0}'
LEFT JOIN pg_temp.id_moved m ON m.subject = h.subject
WHERE x.g >= '{P0}'"""

# Under age is whom every known document tells so; unknown age counts as adult. The best evidence is such a document, or
# one that does not tell: so most persons are looked at no further.
_PHONE_TARGET = f"""
CREATE TEMPORARY TABLE id_phone_target ON COMMIT DROP AS
WITH maybe AS MATERIALIZED (
  SELECT k.root FROM (SELECT DISTINCT root FROM pg_temp.id_hold WHERE root < '{N0}') k
  JOIN person p ON p.subject = k.root WHERE p.minor IS NOT FALSE),
under_age AS (
  SELECT k.root FROM maybe k CROSS JOIN LATERAL (
    SELECT bool_and(p.minor) AS minor FROM cluster m JOIN person p USING (subject) WHERE m.root = k.root) p
  WHERE p.minor),
shut_out AS (SELECT a.x AS g, c.root FROM pg_temp.id_apart a JOIN cluster c ON c.subject = a.y),
eligible AS (
  SELECT h.g, h.root FROM pg_temp.id_hold h
  WHERE NOT EXISTS (SELECT 1 FROM under_age u WHERE u.root = h.root)
    AND NOT EXISTS (SELECT 1 FROM shut_out s WHERE s.g = h.g AND s.root = h.root))
SELECT g, (array_agg(root))[1] AS root FROM eligible GROUP BY g HAVING count(DISTINCT root) = 1"""

_DESIRED_PHONES = """
INSERT INTO pg_temp.id_desired (a, b, rule)
SELECT DISTINCT ON (h.p) h.p, h.h, 'phone' FROM pg_temp.id_hold h JOIN pg_temp.id_phone_target t USING (g, root) ORDER BY h.p, h.h"""

# Groups of phones that officers joined to a name or document were placed with it above.
_MOVED_PHONES = f"""
INSERT INTO pg_temp.id_moved (subject, was, root)
SELECT x.p, c.root, coalesce(t.root, x.g)
FROM pg_temp.id_p x JOIN cluster c ON c.subject = x.p LEFT JOIN pg_temp.id_phone_target t ON t.g = x.g
WHERE x.g >= '{P0}' AND c.root <> coalesce(t.root, x.g)"""

_PLACE = "UPDATE cluster c SET root = m.root FROM pg_temp.id_moved m WHERE c.subject = m.subject AND c.root <> m.root"

# The temporary tables of what ought to be, and the clusters accordingly: one message. The planner is told the sizes of what
# is joined often.
_RECOMPUTE = ";".join(
    ("ANALYZE pg_temp.id_touched", _BRIDGE, "ANALYZE pg_temp.id_bridge", _HELD, "ANALYZE pg_temp.id_held (subject, phone_idx)",
     _APART, _N, "ANALYZE pg_temp.id_n", _CANDIDATES, _TARGET, _DESIRED, _MOVED, _PLACE,
     _P, "ANALYZE pg_temp.id_p", _HOLDERS, _PHONE_TARGET, _DESIRED_PHONES, _MOVED_PHONES, f"{_PLACE} AND m.subject >= '{P0}'")
)  # fmt: skip

# What stands and should not (link id given), what should stand and does not. `nth` tells a pair's repeated links apart.
_DIFFERENCE = """
WITH scope AS (SELECT n AS a FROM pg_temp.id_n UNION SELECT p FROM pg_temp.id_p),
ever AS MATERIALIZED (SELECT l.* FROM scope JOIN link l USING (a)),
before AS (SELECT a, b, count(*) AS n FROM ever GROUP BY a, b),
standing AS (SELECT id, a, b, rule FROM ever WHERE ended_by IS NULL AND rule <> 'officer'),
changes AS (
  SELECT s.id, s.a, s.b, s.rule FROM standing s LEFT JOIN pg_temp.id_desired d USING (a, b, rule) WHERE d.a IS NULL
  UNION ALL
  SELECT NULL, d.a, d.b, d.rule FROM pg_temp.id_desired d LEFT JOIN standing s USING (a, b, rule) WHERE s.id IS NULL)
SELECT id, a::text, b::text, rule, coalesce(before.n, 0) AS nth
FROM changes LEFT JOIN before USING (a, b) ORDER BY changes.a::text, id NULLS LAST"""

_DOUBTS = """
WITH desired AS (
  SELECT DISTINCT c.g AS a, c.dg AS b FROM pg_temp.id_cand c LEFT JOIN pg_temp.id_target t USING (g) WHERE t.g IS NULL),
standing AS (SELECT o.id, o.a, o.b FROM doubt o
  WHERE o.ended_by IS NULL AND o.why = 'evidence' AND o.a IN (SELECT n FROM pg_temp.id_n)),
changes AS (
  SELECT s.id, s.a, s.b FROM standing s LEFT JOIN desired d USING (a, b) WHERE d.a IS NULL
  UNION ALL SELECT NULL, d.a, d.b FROM desired d LEFT JOIN standing s USING (a, b) WHERE s.id IS NULL
  -- of one pair one thing is asked: what evidence asks takes the place of a near name
  UNION ALL SELECT o.id, o.a, o.b FROM doubt o JOIN desired d USING (a, b) WHERE o.ended_by IS NULL AND o.why = 'near'
  -- whether one duty is enough for two that are not one person any more is nobody's question
  UNION ALL SELECT o.id, o.a, o.b FROM doubt o JOIN cluster ca ON ca.subject = o.a JOIN cluster cb ON cb.subject = o.b
  WHERE o.ended_by IS NULL AND o.why = 'work' AND ca.root <> cb.root
    AND (o.a IN (SELECT subject FROM pg_temp.id_moved) OR o.b IN (SELECT subject FROM pg_temp.id_moved)))
SELECT id, a::text, b::text, (SELECT count(*) FROM doubt o WHERE o.a = c.a AND o.b = c.b AND (c.id IS NULL OR o.id < c.id)) AS nth
FROM changes c ORDER BY a, b"""

# Persons about whom something changed, and everybody on a phone that perhaps belongs to too many only since now. `met`:
# whether a phone may name another person beside this one; on most phones there is nobody else.
_NEAR = """
CREATE TEMPORARY TABLE id_near ON COMMIT DROP AS
WITH moved AS (
  SELECT subject FROM pg_temp.id_touched UNION SELECT subject FROM pg_temp.id_moved UNION SELECT was FROM pg_temp.id_moved),
own AS MATERIALIZED (SELECT DISTINCT c.root FROM moved JOIN cluster c USING (subject)),
-- few, and looked up one by one: the planner of a new city knows no sizes
older AS MATERIALIZED (
  SELECT c.subject FROM own JOIN cluster c USING (root) WHERE c.subject NOT IN (SELECT subject FROM pg_temp.id_touched)),
further AS MATERIALIZED (
  SELECT h.phone_idx FROM older o
  CROSS JOIN LATERAL (SELECT phone_idx FROM holding WHERE subject = o.subject AND name_key <> '' OFFSET 0) h
  EXCEPT SELECT phone_idx FROM pg_temp.id_held),
named AS (
  SELECT h.phone_idx, coalesce(m.root, h.root) AS root FROM pg_temp.id_held h LEFT JOIN pg_temp.id_moved m USING (subject)
  WHERE h.name_key <> ''
  UNION SELECT f.phone_idx, h.root FROM further f CROSS JOIN LATERAL (
    SELECT c.root FROM holding JOIN cluster c USING (subject) WHERE phone_idx = f.phone_idx AND name_key <> '' OFFSET 0) h),
counted AS (
  SELECT n.root, o.root AS own, count(*) OVER phone AS persons, count(o.root) OVER phone AS of_own
  FROM named n LEFT JOIN own o ON o.root = n.root WINDOW phone AS (PARTITION BY n.phone_idx))
SELECT root, bool_or(met) AS met FROM (
  SELECT root, false AS met FROM own
  UNION ALL SELECT own, true FROM counted WHERE own IS NOT NULL AND persons BETWEEN 2 AND %(most)s
  UNION ALL SELECT root, true FROM counted WHERE own IS NULL AND of_own > 0 AND persons - of_own <= %(most)s) n
GROUP BY root"""

_NEAR_STANDING = """
SELECT o.id, o.a::text, o.b::text FROM doubt o JOIN cluster ca ON ca.subject = o.a JOIN cluster cb ON cb.subject = o.b
WHERE o.ended_by IS NULL AND o.why = 'near'
  AND (ca.root IN (SELECT root FROM pg_temp.id_near) OR cb.root IN (SELECT root FROM pg_temp.id_near))"""

_ASKED = {"other": pl.col("b"), "question": pl.format("{}:{}:{}", "a", "b", "nth")}


@dataclasses.dataclass(frozen=True)
class Relinked:
    """What a recomputation changed: aliases whose root is another one now (text of ids), counts of links and doubts."""

    aliases: list[str]
    n_linked: int
    n_unlinked: int
    n_doubted: int
    n_settled: int


def relink(
    cursor: psycopg.Cursor,
    touched: str,
    parameters: tuple = (),
    *,
    event: int,
    by,
    act: UUID,
    answer: dict[tuple[str, str], bool] | None = None,
) -> Relinked:
    """Recompute links, doubts and clusters around what was touched; record what changed; let the duties follow.

    `touched`: SQL that selects, each once, the aliases (`subject`) whose evidence or whose judgement changed. The caller
    holds LOCK and is the engine. `answer`: doubts (a, b) that an officer has just answered. The number of statements does
    not depend on how much changed.
    """
    n_touched = cursor.execute(f"CREATE TEMPORARY TABLE id_touched ON COMMIT DROP AS {touched}", parameters).rowcount
    if not n_touched:
        cursor.execute("DROP TABLE pg_temp.id_touched")
        return Relinked([], 0, 0, 0, 0)
    cursor.execute(_RECOMPUTE)
    changes = _frame(cursor, _DIFFERENCE, {"id": pl.Int64, "a": pl.String, "b": pl.String, "rule": pl.String, "nth": pl.Int64})
    doubts = _frame(cursor, _DOUBTS, {"id": pl.Int64, "a": pl.String, "b": pl.String, "nth": pl.Int64})
    with cursor.connection.pipeline():  # the server looks who may be near while the ids of facts are computed
        cursor.execute(_NEAR, {"most": near.PHONE_PERSONS_MAX})
        cursor.execute("ANALYZE pg_temp.id_near")
        unlinked, linked = _ended_and_begun(changes, facts.UNLINKED, facts.LINKED, act)
        settled, doubted = _ended_and_begun(doubts.with_columns(likeness=pl.lit("name_phone")), facts.SETTLED, facts.DOUBTED, act)
    _write_links(cursor, unlinked, linked)
    _write_doubts(cursor, settled, doubted, "evidence")
    far, near_now = _ended_and_begun(_near(cursor), facts.SETTLED, facts.DOUBTED, act)
    _write_doubts(cursor, far, near_now, "near")
    settled, doubted = pl.concat([settled, far]), pl.concat([doubted, near_now])
    places = cursor.execute("SELECT DISTINCT ON (subject) subject::text, was::text FROM pg_temp.id_moved ORDER BY subject").fetchall()
    moved = [subject for subject, _ in places]
    _drop(cursor)

    def tell(kind: FactKind, part: pl.DataFrame, **columns) -> None:
        if len(part):
            record_many(kind, part.select(id="fact", subject="a", **columns), event=event, by=by, act=act)

    pair = {"a": pl.col("a"), "b": pl.col("b"), "rule": pl.col("rule"), "reason": pl.lit("")}
    tell(facts.UNLINKED, unlinked, **pair)
    tell(facts.LINKED, linked, **pair)
    # Duties follow the persons before doubts open duties of their own.
    both = clusters.after_relink(event, moved, act, by, [was for _, was in places]).both_worked_on if moved else ()
    same = [answer.get((a, b)) for a, b in settled.select("a", "b").iter_rows()] if answer else [None] * len(settled)
    tell(facts.SETTLED, settled, **_ASKED, same=pl.Series(same, dtype=pl.Boolean))
    tell(facts.DOUBTED, doubted, **_ASKED, likeness=pl.col("likeness"))
    n_doubted = len(doubted) + (_doubt_work(cursor, both, event=event, by=by, act=act) if both else 0)
    return Relinked(moved, len(linked), len(unlinked), n_doubted, len(settled))


def _near(cursor: psycopg.Cursor) -> pl.DataFrame:
    """Near pairs around what changed: those asked about and not near any more (id given), those near and not yet asked about."""
    wanted = {(pair.a, pair.b): pair.why for pair in near.desired(cursor, "pg_temp.id_near")}
    standing = {(a, b): id for id, a, b in cursor.execute(_NEAR_STANDING).fetchall()}
    changes = [(standing[pair], *pair, "") for pair in standing.keys() - wanted.keys()]
    changes += [(None, *pair, wanted[pair]) for pair in wanted.keys() - standing.keys()]
    schema = {"id": pl.Int64, "a": pl.String, "b": pl.String, "likeness": pl.String}
    found = pl.DataFrame(changes, schema=schema, orient="row").sort("a", "b")
    if found.is_empty():
        return found.with_columns(nth=pl.lit(0, pl.Int64)).select("id", "a", "b", "nth", "likeness")
    before = _frame(
        cursor,
        "SELECT o.a::text, o.b::text, o.id AS earlier FROM doubt o JOIN unnest(%s::uuid[], %s::uuid[]) AS w(a, b) USING (a, b)",
        {"a": pl.String, "b": pl.String, "earlier": pl.Int64},
        (found["a"].to_list(), found["b"].to_list()),
    )
    nth = (
        found.join(before, on=["a", "b"])
        .filter(pl.col("id").is_null() | (pl.col("earlier") < pl.col("id")))
        .group_by("a", "b")
        .agg(pl.len().cast(pl.Int64).alias("nth"))
    )
    with_nth = found.join(nth, on=["a", "b"], how="left", maintain_order="left").with_columns(pl.col("nth").fill_null(0))
    return with_nth.select("id", "a", "b", "nth", "likeness")


def _doubt_work(cursor: psycopg.Cursor, both: tuple[tuple[int, int], ...], *, event: int, by, act: UUID) -> int:
    """Two desks had worked on what is now one person: an officer says whether that is right and one duty is enough."""
    subjects = dict(cursor.execute("SELECT id, subject::text FROM loop WHERE id = ANY(%s)", ([i for p in both for i in p],)).fetchall())
    pairs = {tuple(sorted((subjects[x], subjects[y]), reverse=True)) for x, y in both if subjects[x] != subjects[y]}
    part = _frame(
        cursor,
        "SELECT p.a::text, p.b::text, count(o.id) AS nth"
        " FROM unnest(%s::uuid[], %s::uuid[]) AS p(a, b) LEFT JOIN doubt o ON o.a = p.a AND o.b = p.b"
        " GROUP BY 1, 2 HAVING count(o.id) FILTER (WHERE o.ended_by IS NULL) = 0 ORDER BY 1, 2",
        {"a": pl.String, "b": pl.String, "nth": pl.Int64},
        ([a for a, _ in sorted(pairs)], [b for _, b in sorted(pairs)]),
    )
    if part.is_empty():
        return 0
    made = _ids(part, facts.DOUBTED.name, act)
    cursor.execute(
        "INSERT INTO doubt (a, b, fact, why) SELECT *, 'work' FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[])",
        (part["a"].to_list(), part["b"].to_list(), made.to_list()),
    )
    record_many(facts.DOUBTED, part.select(id=made, subject="a", **_ASKED, likeness=pl.lit("work")), event=event, by=by, act=act)
    return len(part)


def _drop(cursor: psycopg.Cursor) -> None:
    cursor.execute("DROP TABLE IF EXISTS " + ", ".join(f"pg_temp.{name}" for name in _TEMPORARY))


def _frame(cursor: psycopg.Cursor, select: str, schema: dict, parameters: tuple | None = None) -> pl.DataFrame:
    return pl.DataFrame(cursor.execute(select, parameters).fetchall(), schema=schema, orient="row")


def _ended_and_begun(changes: pl.DataFrame, ends: FactKind, begins: FactKind, act: UUID) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What ended (id given) and what began, each with the id of its `fact`."""
    parts = (changes.filter(pl.col("id").is_not_null()), ends), (changes.filter(pl.col("id").is_null()), begins)
    return tuple(part.with_columns(fact=_ids(part, kind.name, act)) for part, kind in parts)


def _ids(part: pl.DataFrame, kind: str, act: UUID) -> pl.Series:
    """Computed from the act, so that the act repeated makes the same."""
    made = [str(ids.derived_id(act, kind, a, b, nth)) for a, b, nth in part.select("a", "b", "nth").iter_rows()]
    return pl.Series("id", made, dtype=pl.String)


def _write_links(cursor: psycopg.Cursor, ended: pl.DataFrame, begun: pl.DataFrame) -> None:
    if len(ended):
        cursor.execute(
            "UPDATE link l SET ended_by = e.fact FROM unnest(%s::bigint[], %s::uuid[]) AS e(id, fact) WHERE l.id = e.id",
            (ended["id"].to_list(), ended["fact"].to_list()),
        )
    if len(begun):
        cursor.execute("CREATE TEMPORARY TABLE id_begun (a uuid, b uuid, rule text, fact uuid) ON COMMIT DROP")
        copy_frame(cursor, "pg_temp.id_begun", begun.select("a", "b", "rule", "fact"))
        cursor.execute(
            "INSERT INTO link (a, b, rule, fact, same) SELECT a, b, rule, fact, true FROM pg_temp.id_begun ORDER BY a;"
            "DROP TABLE pg_temp.id_begun"
        )


def _write_doubts(cursor: psycopg.Cursor, ended: pl.DataFrame, begun: pl.DataFrame, why: str) -> None:
    if len(ended):
        cursor.execute(
            "UPDATE doubt o SET ended_by = e.fact FROM unnest(%s::bigint[], %s::uuid[]) AS e(id, fact) WHERE o.id = e.id",
            (ended["id"].to_list(), ended["fact"].to_list()),
        )
    if len(begun):
        cursor.execute(
            "INSERT INTO doubt (a, b, fact, why) SELECT *, %s FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[])",
            (why, begun["a"].to_list(), begun["b"].to_list(), begun["fact"].to_list()),
        )
