"""Lengths, numbers of tries and lives of everything about signing in: named settings of the installation.

Each is a whole number from the environment, with a default that a city can keep and a range outside of which it is
refused: a lock-out of zero tries or a code that lives for a year is a mistake, not a policy.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import NamedTuple

from bihuan.kernel.refused import Refused


class Limit(NamedTuple):
    default: int
    lowest: int
    highest: int


LIMITS = {
    "BIHUAN_SESSION_HOURS": Limit(12, 1, 24),  # a shift; then everybody signs in again
    "BIHUAN_IDLE_MINUTES": Limit(15, 1, 120),  # without a key or a touch; then the page locks itself
    "BIHUAN_STEP_UP_MINUTES": Limit(10, 1, 60),  # for which a second factor counts as fresh
    "BIHUAN_LOCK_FAILURES": Limit(5, 3, 20),  # wrong tries for one account
    "BIHUAN_LOCK_MINUTES": Limit(30, 1, 1440),  # for which tries count, and a lock holds
    "BIHUAN_LOCK_ADDRESS_FAILURES": Limit(60, 10, 10_000),  # wrong tries from one address: a whole office may share it
    "BIHUAN_CODE_MINUTES": Limit(15, 1, 240),  # life of a code that a desk reads out
    "BIHUAN_CODE_DIGITS": Limit(6, 6, 12),
    "BIHUAN_CODE_FAILURES": Limit(5, 3, 10),  # wrong tries, then the code is dead
    "BIHUAN_DEVICE_DAYS": Limit(30, 1, 90),  # for which a device is trusted
    "BIHUAN_PIN_DIGITS": Limit(6, 4, 12),
    "BIHUAN_PIN_FAILURES": Limit(5, 3, 10),  # wrong tries, then the device is trusted no longer
    "BIHUAN_PASSWORD_LENGTH": Limit(10, 8, 64),
    # 0: a password is changed when there is a reason, not by the calendar. A city that has to answer to a profile that
    # wants periodic change sets the days here.
    "BIHUAN_PASSWORD_DAYS": Limit(0, 0, 3650),
    "BIHUAN_ATTEMPT_DAYS": Limit(180, 180, 3650),  # 网络安全法: logs of network operation for at least six months
}


def of(name: str) -> int:
    """The value in force. Refuses (`setting_out_of_range`) what is no whole number or outside the range."""
    limit = LIMITS[name]
    given = os.environ.get(name)
    if not given:
        return limit.default
    try:
        value = int(given)
    except ValueError:
        value = -1
    if not limit.lowest <= value <= limit.highest:
        raise Refused(
            "setting_out_of_range",
            f"设置 {name}={given} 不行，应在 {limit.lowest} 到 {limit.highest} 之间。",
            f"{name}={given} cannot be: it has to lie between {limit.lowest} and {limit.highest}.",
            name,
        )
    return value


def minutes(name: str) -> timedelta:
    return timedelta(minutes=of(name))


def check() -> None:
    """Refuses a value that cannot be, at start-up and not at the first sign-in of the morning."""
    for name in LIMITS:
        of(name)
