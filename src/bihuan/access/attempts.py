"""Lock-outs, counted in the database so that every process sees the same.

A try is written down before it is judged, so that many at once cannot all pass below the limit. A name that nobody has
is counted and locked like one that somebody has: the answers never tell them apart. A browser in which the officer has
signed in before counts by itself, so that a stranger who tries passwords elsewhere locks out himself, not the desk.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection
from django.http import HttpRequest

from bihuan.access import limits, log, secrets
from bihuan.access.models import Attempt
from bihuan.kernel import clock

_COUNT = """
SELECT (SELECT count(*) FROM attempt WHERE account = %(account)s AND at > %(since)s AND outcome = 'failed' AND id < %(id)s
          AND id > coalesce((SELECT max(id) FROM attempt WHERE account = %(account)s AND outcome IN ('passed', 'cleared')), 0)),
       (SELECT count(*) FROM attempt WHERE address = %(address)s AND at > %(since)s AND outcome = 'failed' AND id < %(id)s)
"""


def account_key(name: str, known_browser: str = "") -> bytes:
    """The account as it is counted. `known_browser`: the mark of a browser in which this account has signed in."""
    return secrets.keyed("account", f"{name.strip().lower()}\0{known_browser}")


@dataclass(frozen=True)
class Try:
    """A try under way. `locked`: it is not to be judged at all."""

    id: int
    locked: bool


def begin(account: bytes, request: HttpRequest, officer: int | None = None) -> Try:
    """Write the try down as failed; `passed` makes it good."""
    now, address = clock.real_now(), log.address(request)
    made = Attempt.objects.create(at=now, account=account, officer=officer, address=address, outcome="failed")
    since = now - limits.minutes("BIHUAN_LOCK_MINUTES")
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"account": account, "address": address, "since": since, "id": made.id})
        of_account, of_address = cursor.fetchone()
    by_account = of_account >= limits.of("BIHUAN_LOCK_FAILURES")
    by_address = bool(address) and of_address >= limits.of("BIHUAN_LOCK_ADDRESS_FAILURES")
    if by_account or by_address:
        Attempt.objects.filter(id=made.id).update(outcome="locked")
        return Try(made.id, True)
    if of_account + 1 == limits.of("BIHUAN_LOCK_FAILURES"):
        log.note("account_locked", about=officer, request=request)
    if address and of_address + 1 == limits.of("BIHUAN_LOCK_ADDRESS_FAILURES"):
        log.note("address_locked", request=request)
    return Try(made.id, False)


def passed(attempt: Try, officer: int) -> None:
    Attempt.objects.filter(id=attempt.id).update(outcome="passed", officer=officer)


def locked_officers() -> list[int]:
    """Officers of whom somebody has just tried too often."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT f.officer FROM (
              SELECT a.account, max(a.officer) AS officer, count(*) AS n FROM attempt a
              WHERE a.at > %s AND a.outcome = 'failed' AND a.officer IS NOT NULL
                AND a.id > coalesce((SELECT max(p.id) FROM attempt p WHERE p.account = a.account AND p.outcome IN ('passed', 'cleared')), 0)
              GROUP BY a.account) f
            WHERE f.n >= %s ORDER BY 1""",
            [clock.real_now() - limits.minutes("BIHUAN_LOCK_MINUTES"), limits.of("BIHUAN_LOCK_FAILURES")],
        )
        return [officer for (officer,) in cursor.fetchall()]


def clear(officer: int) -> None:
    """Let an officer try again at once: every way in which somebody has tried for this account counts anew."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO attempt (at, account, officer, address, outcome)"
            " SELECT %s, account, %s, '', 'cleared' FROM attempt WHERE officer = %s GROUP BY account",
            [clock.real_now(), officer, officer],
        )
