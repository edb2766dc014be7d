"""The scope of whoever acts, told to the database at the first statement of each transaction.

Row-level security reads `bihuan.lo`, `.hi` and `.unit`. They are set by a literal SET LOCAL (never set_config), so
that they end with the transaction and cannot leak through the pool; without them every scoped table answers with an
error, never with an empty list that would look like "nobody".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from django.db.backends.signals import connection_created
from psycopg.pq import TransactionStatus


@dataclass(frozen=True)
class Scope:
    """Half-open range of jurisdiction codes, and the unit; below zero where its duties stay closed (see `of`)."""

    lo: int
    hi: int
    unit: int
    read_only: bool = False

    def sql(self) -> str:
        head = "SET TRANSACTION READ ONLY; " if self.read_only else ""
        return f"{head}SET LOCAL bihuan.lo = {int(self.lo)}; SET LOCAL bihuan.hi = {int(self.hi)}; SET LOCAL bihuan.unit = {int(self.unit)}"


_acting: ContextVar[Scope | None] = ContextVar("bihuan_scope", default=None)


@contextmanager
def acting(scope: Scope | None) -> Iterator[None]:
    """Everything inside reads the database with this scope. Open it outside the transaction."""
    token = _acting.set(scope)
    try:
        yield
    finally:
        _acting.reset(token)


def of(post, *, read_only: bool = False) -> Scope:
    """What the database is told of a post. Of who works with nobody (senders, administrators) the unit stands below zero:

    an administrator sits in the city's desk as well, and no duty, fact or person of that desk is opened by it.
    """
    lo, hi = post.scope
    return Scope(lo, hi, post.unit_id if post.sees_people else -post.unit_id, read_only)


def tell(connection, also: str = "") -> None:
    """Tell the database the scope, where the transaction's first statement is still to come; and `also`, in the same message.

    By the driver's own cursor: Django's comes here first. An error is the driver's.
    """
    scope, raw = _acting.get(), connection.connection
    is_first = raw is not None and connection.in_atomic_block and raw.info.transaction_status == TransactionStatus.IDLE
    said = [scope.sql()] if scope is not None and is_first else []
    if said or also:
        raw.execute("; ".join([*said, also] if also else said))


def _set_scope(execute, sql, params, many, context):
    tell(context["connection"])
    return execute(sql, params, many, context)


def _install(sender, connection, **kwargs) -> None:
    if connection.vendor == "postgresql" and _set_scope not in connection.execute_wrappers:
        connection.execute_wrappers.append(_set_scope)


def install() -> None:
    connection_created.connect(_install, dispatch_uid="bihuan.access.scope")
