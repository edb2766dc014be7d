"""Every write of the product is an action: one thing that an officer does, in one transaction, safe to repeat."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection, transaction

from bihuan.access import scope
from bihuan.kernel.refused import Refused

Answer = TypeVar("Answer")

# serialization failure, deadlock, lock not available: nothing was done, trying again is right
_PASSING = {"40001", "40P01", "55P03"}
_TRIES_MAX = 5
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '5s'"


def action(fn: Callable[..., Answer]) -> Callable[..., Answer | Refused]:
    """Makes a keyword-only function `fn(*, by: Post, …)` an action.

    It runs in the outermost transaction with the scope of the actor's post; passing faults (deadlock, lock timeout,
    serialization) are retried up to five times; a `Refused` raised inside undoes everything and is returned.
    """

    @functools.wraps(fn)
    def run(*, by, **arguments) -> Answer | Refused:
        with scope.acting(scope.of(by)):
            for attempt in range(1, _TRIES_MAX + 1):
                try:
                    with transaction.atomic(durable=True):
                        with connection.wrap_database_errors:
                            scope.tell(connection, _LOCK_TIMEOUT)
                        return fn(by=by, **arguments)
                except Refused as refused:
                    return refused
                except OperationalError as error:
                    state = getattr(error.__cause__, "sqlstate", None)
                    if state not in _PASSING or attempt == _TRIES_MAX:
                        raise
                    time.sleep(random.uniform(0, 0.05 * 2**attempt))
        raise AssertionError("unreachable")

    run.is_action = True  # type: ignore[attr-defined]
    return run
