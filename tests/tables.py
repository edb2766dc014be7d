"""What stands in all tables of a database, asked in one statement: a hundred small ones cost more than what they find."""

from __future__ import annotations

from collections.abc import Collection

import psycopg
from psycopg import sql

_NAMES = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1"
)


def names(db: psycopg.Connection) -> list[str]:
    return [name for (name,) in db.execute(_NAMES).fetchall()]


def _of_each(db: psycopg.Connection, part: str, tables: Collection[str], parameters: dict | None = None) -> list[tuple]:
    parts = [sql.SQL(part).format(name=sql.Literal(table), table=sql.Identifier(table)) for table in tables]
    return db.execute(sql.SQL(" UNION ALL ").join(parts), parameters).fetchall()


def counts(db: psycopg.Connection, tables: Collection[str]) -> dict[str, int]:
    """Rows of each table."""
    return dict(_of_each(db, "SELECT {name}, count(*) FROM {table}", tables))


def with_text(db: psycopg.Connection, texts: Collection[str], tables: Collection[str]) -> list[tuple[str, str]]:
    """(table, text): the texts that stand in some column of some row of a table."""
    part = (
        "SELECT DISTINCT {name}, w.said FROM (SELECT t::text AS whole FROM {table} t OFFSET 0) r"
        " JOIN unnest(%(texts)s::text[]) AS w(said) ON position(w.said IN r.whole) > 0"
    )
    return sorted(_of_each(db, part, tables, {"texts": list(texts)}))
