"""What happens to accounts by the clock."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection, transaction

from bihuan.access import holdings, late, limits
from bihuan.kernel import clock, ids


class System:
    """Stands where a post would: acts of the clock have officer 0 and the unit 0."""

    officer_id = unit_id = id = 0


def hand_over_ended() -> int:
    """What is held by officers whose post in the unit has ended by its date goes to the unit's desk. How many things."""
    with transaction.atomic():
        held = holdings.holders()
        if not held:
            return 0
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT h.officer, h.unit FROM unnest(%s::int[], %s::int[]) AS h (officer, unit)
                WHERE NOT EXISTS (SELECT 1 FROM post p JOIN officer o ON o.id = p.officer AND o.is_active
                                  WHERE p.officer = h.officer AND p.unit = h.unit AND p.valid @> %s::date) ORDER BY 1, 2""",
                [[officer for officer, _ in held], [unit for _, unit in held], clock.today()],
            )
            ended = cursor.fetchall()
        return sum(holdings.pass_on(by=System(), officer=officer, unit=unit, to=None, act=ids.new_id()) for officer, unit in ended)


def forget() -> None:
    """Tries, used codes and ended sign-ins are kept for BIHUAN_ATTEMPT_DAYS; the log of what happened stays."""
    before = clock.real_now() - timedelta(days=limits.of("BIHUAN_ATTEMPT_DAYS"))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM attempt WHERE at < %s", [before])
        cursor.execute("DELETE FROM sign_in_code WHERE until < %s", [before])
        cursor.execute("DELETE FROM sign_in WHERE ended_at < %s OR seen_at < %s", [before, before])
        cursor.execute("DELETE FROM django_session WHERE expire_date < %s", [clock.real_now()])


PERIODIC = [
    ("access.hand_over", 60, hand_over_ended),
    ("access.forget", 3600, forget),
    ("access.empty", 60, late.empty),
]
