"""Identifiers of facts: UUID version 7, made by whoever saw the thing happen.

An id that follows from an act is computed from that act's id, never drawn anew, so that a repeated act makes the same
ids again and the database can tell a repetition from a second event.
"""

from __future__ import annotations

import hashlib
import os
import time
from datetime import UTC, datetime
from uuid import UUID

_TIME_BITS = 48
_last_ms = 0
_counter = 0


def _assemble(milliseconds: int, random_bits: int) -> UUID:
    """48 bits of time, version 7, 12 + 62 further bits (RFC 9562, section 5.7)."""
    value = (milliseconds & ((1 << _TIME_BITS) - 1)) << 80
    value |= 0x7 << 76
    value |= ((random_bits >> 62) & 0xFFF) << 64
    value |= 0b10 << 62
    value |= random_bits & ((1 << 62) - 1)
    return UUID(int=value)


def new_id(at: datetime | None = None) -> UUID:
    """A fresh id; ids made by one process within one millisecond keep their order. `at` sets its time (tests, demo)."""
    global _last_ms, _counter
    if at is not None:
        return _assemble(int(at.timestamp() * 1000), int.from_bytes(os.urandom(10), "big"))
    milliseconds = time.time_ns() // 1_000_000
    if milliseconds == _last_ms:
        _counter = min(_counter + 1, 0xFFF)
    else:
        _last_ms, _counter = milliseconds, 0
    return _assemble(milliseconds, (_counter << 62) | int.from_bytes(os.urandom(8), "big") >> 2)


def derived_id(act: UUID, *parts: object) -> UUID:
    """The id of a fact that follows from `act`: the act's time, version 7, and a hash of the act and `parts`."""
    text = "\x1f".join([act.hex, *map(str, parts)]).encode()
    return _assemble(act.int >> 80, int.from_bytes(hashlib.sha256(text).digest()[:10], "big"))


def time_of(id: UUID) -> datetime:
    """The moment that a version 7 id carries, UTC."""
    return datetime.fromtimestamp((id.int >> 80) / 1000, tz=UTC)


def lowest_id(at: datetime) -> UUID:
    """The smallest id that carries the millisecond of `at`: the bound of a partition."""
    return UUID(int=int(at.timestamp() * 1000) << 80)
