from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from bihuan.kernel import ids

BEGAN = datetime(2022, 8, 28, tzinfo=UTC)

INSERT = """
INSERT INTO fact (id, act, event, kind, subject, region, happened_at, received_at, effective_at, "by", unit, purpose, digest, salt)
SELECT i, i, 1, 'toy.seen', gen_random_uuid(), nullif(n %% 3, 0)::int, %(at)s, %(at)s, %(at)s, 1, 1, '', sha256(n::text::bytea),
       uuid_send(gen_random_uuid())
FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS x(i, n)
"""


@pytest.fixture
def facts(db: str, as_role: Callable, acting: Callable) -> Iterator[Callable]:
    """`facts(n, minute)` appends n facts heard in that minute, in one transaction; Django is the worker."""

    def append(n: int, minute: int = 0, connection: psycopg.Connection | None = None) -> list[UUID]:
        made = sorted(ids.new_id() for _ in range(n))
        parameters = {"ids": made, "at": BEGAN + timedelta(minutes=minute)}
        if connection is not None:
            connection.execute(INSERT, parameters)
        else:
            with as_role("work") as own:
                own.execute(INSERT, parameters)
        return made

    append.insert = INSERT
    with acting("work"):
        yield append
