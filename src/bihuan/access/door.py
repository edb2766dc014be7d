"""The one place where the application may become the engine.

Row-level security has read policies only: without this switch the application's role writes nothing in subjects,
identity, ledger and loops. A door opens it after `access.decide` said yes, writes, and returns ids or refusals.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import connection
from psycopg.pq import TransactionStatus

from bihuan.access import scope


@contextmanager
def engine(hold: UUID | None = None) -> Iterator[None]:
    """Inside a transaction: write as `bihuan_engine`. May be nested; temporary tables are made after the switch.

    `hold`: an alias; its person is locked until the transaction ends, in the same message as the switch.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("the engine writes inside a transaction only")
    depth = getattr(connection, "bihuan_engine_depth", 0)
    wanted = ["SET LOCAL ROLE bihuan_engine"] if depth == 0 else []
    if hold is not None:
        wanted.append(f"SELECT hold_person('{UUID(str(hold))}')")
    raw = connection.connection
    if wanted:
        with connection.wrap_database_errors:
            scope.tell(connection, "; ".join(wanted))
    connection.bihuan_engine_depth = depth + 1
    try:
        yield
    finally:
        connection.bihuan_engine_depth = depth
        # In a failed transaction the command would hide the real error; the rollback undoes the switch anyway.
        if depth == 0 and not raw.closed and raw.info.transaction_status == TransactionStatus.INTRANS:
            raw.execute("SET LOCAL ROLE NONE")
