"""`match`: the only maker of persons. Rows of a list in, aliases and their persons out, set-based."""

from __future__ import annotations

import dataclasses
from datetime import date
from uuid import UUID

import polars as pl
import psycopg
from django.db import connection

from bihuan.access.door import engine
from bihuan.identity import keys, links
from bihuan.identity.evidence import PHONE, evidence
from bihuan.identity.near import UNREAD
from bihuan.identity.sealed import opened
from bihuan.kernel.crypto import seal
from bihuan.loops.copy_frame import copy_frame

_TEMPORARY = ("id_alias", "id_phone", "id_address", "id_sealed", "id_new", "id_changed")
_PERSON = ("subject", "kind", "name", "name_key", "pinyin", "initials", "birth_year", "sex", "minor")
_UNSTAGING = "DROP TABLE IF EXISTS " + ", ".join(f"pg_temp.{name}" for name in _TEMPORARY)

_STAGING = (
    """CREATE TEMPORARY TABLE id_alias (
      subject uuid, kind int, name text, name_key text, pinyin text, initials text, birth_year smallint, sex text, minor boolean)
      ON COMMIT DROP""",
    "CREATE TEMPORARY TABLE id_phone (subject uuid, name_key text, phone_idx bytea) ON COMMIT DROP",
    "CREATE TEMPORARY TABLE id_address (subject uuid, address_idx bytea) ON COMMIT DROP",
    "CREATE TEMPORARY TABLE id_sealed (subject uuid, blob bytea) ON COMMIT DROP",
    "CREATE TEMPORARY TABLE id_changed (subject uuid) ON COMMIT DROP",
)

# Of whom nothing is known yet. The lock is held: nobody else makes persons, and they go in without a look for conflicts.
_NEW = """
CREATE TEMPORARY TABLE id_new ON COMMIT DROP AS
SELECT subject FROM pg_temp.id_alias a WHERE NOT EXISTS (SELECT FROM subject s WHERE s.id = a.subject);
ANALYZE pg_temp.id_new"""
_IS_NEW = "subject IN (SELECT subject FROM pg_temp.id_new)"
_IS_KNOWN = "subject NOT IN (SELECT subject FROM pg_temp.id_new)"

_SUBJECTS = "INSERT INTO subject (id, kind) SELECT subject, 'person' FROM pg_temp.id_new ORDER BY subject"
_CLUSTERS = "INSERT INTO cluster (subject, root) SELECT subject, subject FROM pg_temp.id_new ORDER BY subject"

_PERSONS = f"""
INSERT INTO person AS p (subject, name, name_key, pinyin, initials, birth_year, sex, minor, marks)
SELECT subject, coalesce(name, ''), coalesce(name_key, ''), coalesce(pinyin, ''), coalesce(initials, ''), birth_year,
       coalesce(sex, ''), minor, '{{}}'
FROM pg_temp.id_alias WHERE kind <> {PHONE} AND"""
_NEW_PERSONS = f"{_PERSONS} {_IS_NEW} ORDER BY subject"

# A person is a minor while every event in which the document was seen found so. Of several names that lists write beside
# one piece of evidence the one that was read whole stands, and of those the first by its characters: any would do, but the
# order in which lists come must not decide it, for a near name at a door is asked about by it.
_BETTER = f"""excluded.name_key <> '' AND (p.name_key = ''
      OR (excluded.name_key ~ '{UNREAD}', excluded.name_key COLLATE "C", excluded.name COLLATE "C")
       < (p.name_key ~ '{UNREAD}', p.name_key COLLATE "C", p.name COLLATE "C"))"""
_KNOWN_PERSONS = f"""
WITH changed AS ({_PERSONS} {_IS_KNOWN} ORDER BY subject
  ON CONFLICT (subject) DO UPDATE SET
    name = CASE WHEN {_BETTER} THEN excluded.name ELSE p.name END,
    name_key = CASE WHEN {_BETTER} THEN excluded.name_key ELSE p.name_key END,
    pinyin = CASE WHEN {_BETTER} THEN excluded.pinyin ELSE p.pinyin END,
    initials = CASE WHEN {_BETTER} THEN excluded.initials ELSE p.initials END,
    minor = p.minor AND excluded.minor
  WHERE {_BETTER} OR (p.minor AND NOT excluded.minor)
  RETURNING p.subject)
INSERT INTO pg_temp.id_changed SELECT subject FROM changed"""

# Whose evidence grew: a holding that is new in this event.
_HOLDINGS = """
INSERT INTO holding (event, subject, phone_idx, name_key) SELECT %s, subject, phone_idx, name_key FROM pg_temp.id_phone WHERE"""
_NEW_HOLDINGS = f"{_HOLDINGS} {_IS_NEW} ORDER BY subject"
_KNOWN_HOLDINGS = f"""
WITH held AS ({_HOLDINGS} {_IS_KNOWN} ORDER BY subject
  ON CONFLICT (subject, phone_idx, name_key, event) DO NOTHING RETURNING subject)
INSERT INTO pg_temp.id_changed SELECT subject FROM held"""

# Who is sealed in this event, and the value itself where the list says something new: only then it is sealed again. Looked
# up one by one: the planner of a new city takes all that an event knows for a few rows.
_SEALED_BEFORE = f"""
WITH own AS MATERIALIZED (
  SELECT a.subject, i.blob, i.address_idx FROM pg_temp.id_alias a
  CROSS JOIN LATERAL (SELECT blob, address_idx FROM identity WHERE subject = a.subject AND event = %(event)s OFFSET 0) i
  WHERE a.{_IS_KNOWN}),
grown AS (
  SELECT p.subject FROM pg_temp.id_phone p WHERE p.{_IS_KNOWN} AND NOT EXISTS (
    SELECT FROM holding h
    WHERE h.subject = p.subject AND h.phone_idx = p.phone_idx AND h.name_key = p.name_key AND h.event = %(event)s OFFSET 0)
  UNION SELECT s.subject FROM pg_temp.id_address s JOIN own USING (subject) WHERE s.address_idx <> ALL (own.address_idx))
SELECT own.subject::text, CASE WHEN grown.subject IS NOT NULL THEN own.blob END FROM own LEFT JOIN grown USING (subject)"""

_SEALED = """
INSERT INTO identity AS i (subject, event, blob, address_idx)
SELECT s.subject, %s, s.blob, coalesce(a.idx, '{}')
FROM pg_temp.id_sealed s
LEFT JOIN (SELECT subject, array_agg(DISTINCT address_idx) AS idx FROM pg_temp.id_address GROUP BY subject) a USING (subject)
WHERE s."""
_SEALED_NEW = f"{_SEALED}{_IS_NEW} ORDER BY s.subject"
_SEALED_AGAIN = f"""{_SEALED}{_IS_KNOWN} ORDER BY s.subject
ON CONFLICT (subject, event) DO UPDATE SET blob = excluded.blob,
  address_idx = ARRAY(SELECT DISTINCT v FROM unnest(i.address_idx || excluded.address_idx) AS v)"""

# An address that is new about a known person is evidence as well: somebody of that name may be known at that door.
_TOUCHED = """
SELECT subject FROM pg_temp.id_new UNION SELECT subject FROM pg_temp.id_changed
UNION SELECT subject FROM pg_temp.id_sealed JOIN pg_temp.id_address USING (subject)"""

# Who is not the best evidence of the person.
_ROOTS = "SELECT a.subject::text, c.root::text FROM pg_temp.id_alias a JOIN cluster c USING (subject) WHERE c.root <> a.subject"

# Whose best evidence is new and nobody's known before.
_N_NEW_PERSONS = """
SELECT count(*) FROM pg_temp.id_new n JOIN cluster c USING (subject) WHERE c.root = n.subject
AND NOT EXISTS (SELECT FROM cluster m WHERE m.root = c.root AND m.subject NOT IN (SELECT subject FROM pg_temp.id_new))"""


@dataclasses.dataclass(frozen=True)
class Matched:
    """`aliases`, `roots`: text of ids, one per row in the order of the rows. `relinked`: aliases with another root than before.

    `n_new_persons`: persons (clusters) of whom nothing was known before. `links`: counts of what changed.
    """

    aliases: pl.Series
    roots: pl.Series
    relinked: list[str]
    n_new_persons: int
    links: links.Relinked


def match(rows: pl.DataFrame, *, event: int, by, act: UUID, adult_years: int, on: date) -> Matched:
    """Find or make the alias of each row, and link what the evidence links. Inside an action; waits for another match.

    `rows`: row, name, doc, phone, and where there are doc_kind, address (text, null where missing; checked by intake).
    `on`: the event's opening day, on which a person of `adult_years` is an adult. `by`: a Post; the caller has decided
    that it may. The same rows again change nothing. The number of statements does not depend on the number of rows.
    ValueError when a row has neither document nor phone nor a name at a door.
    """
    if rows.is_empty():
        empty = pl.Series([], dtype=pl.String)
        return Matched(empty, empty, [], 0, links.Relinked([], 0, 0, 0, 0))
    key = keys.ensure_data_key(event)
    with engine(), psycopg.Cursor(connection.connection) as cursor:
        with cursor.connection.pipeline():  # the server makes its tables while the rows are read
            for statement in _STAGING:
                cursor.execute(statement)
            lines = evidence(rows, keys.installation(), adult_years=adult_years, on=on)
            cursor.execute(links.LOCK)
        _stage(cursor, lines)
        before = dict(cursor.execute(_SEALED_BEFORE, {"event": event}).fetchall())
        with cursor.connection.pipeline():  # the server writes these while the values are sealed
            for statement in (_SUBJECTS, _CLUSTERS, _NEW_PERSONS, _KNOWN_PERSONS):
                cursor.execute(statement)
            for statement in (_NEW_HOLDINGS, _KNOWN_HOLDINGS):
                cursor.execute(statement, (event,))
            sealed = _sealed(lines, before, key)
        copy_frame(cursor, "pg_temp.id_sealed", sealed)
        with cursor.connection.pipeline():
            for statement in (_SEALED_NEW, _SEALED_AGAIN):
                cursor.execute(statement, (event,))
        relinked = links.relink(cursor, _TOUCHED, event=event, by=by, act=act)
        roots = pl.DataFrame(cursor.execute(_ROOTS).fetchall(), schema={"subject": pl.String, "root": pl.String}, orient="row")
        n_new = cursor.execute(_N_NEW_PERSONS).fetchone()[0]
        cursor.execute(_UNSTAGING)
    answered = lines.select("subject").join(roots, on="subject", how="left", maintain_order="left")
    return Matched(lines["subject"].alias("alias"), answered["root"].fill_null(lines["subject"]), relinked.aliases, n_new, relinked)


def _stage(cursor: psycopg.Cursor, lines: pl.DataFrame) -> None:
    unread = pl.col("name_key").str.contains(UNREAD)
    named_first = lines.sort("subject", pl.col("name_key").is_null(), unread, "name_key", "name", maintain_order=True)
    aliases = named_first.unique("subject", keep="first", maintain_order=True)
    copy_frame(cursor, "pg_temp.id_alias", aliases.select(_PERSON))
    # A phone by itself has no name; what a list writes beside it would make it a name with a phone.
    phones = lines.filter(pl.col("phone").is_not_null()).select("subject", pl.col("name_key").fill_null(""), "phone_idx").unique()
    copy_frame(cursor, "pg_temp.id_phone", phones)
    copy_frame(cursor, "pg_temp.id_address", lines.filter(pl.col("address_idx").is_not_null()).select("subject", "address_idx").unique())
    cursor.execute(_NEW)


def _sealed(lines: pl.DataFrame, before: dict[str, bytes | None], key: bytes) -> pl.DataFrame:
    """What is new, merged into the sealed values and sealed. Python per changed person; nothing for the others."""
    known = [subject for subject, blob in before.items() if blob is None]
    fresh = (
        lines.filter(~pl.col("subject").is_in(known))
        .group_by("subject", maintain_order=True)
        .agg(
            pl.col("doc").first(),
            pl.col("doc_kind").drop_nulls().first(),
            pl.col("phone").drop_nulls().unique(maintain_order=True).alias("phones"),
            pl.col("address").drop_nulls().unique(maintain_order=True).alias("addresses"),
        )
    )
    fresh = fresh.select("subject", pl.struct("doc", "doc_kind", "phones", "addresses").struct.json_encode().alias("said"))
    blobs = []
    for subject, said in fresh.iter_rows():
        bound_to = bytes.fromhex(subject.replace("-", ""))
        if subject in before:
            said = opened(key, bytes(before[subject]), bound_to).merged(said)
        blobs.append(seal(key, said.encode(), bound_to))
    return fresh.select("subject", blob=pl.Series(blobs, dtype=pl.Binary))
