"""What a verification finds: one thing that does not hold, named so that an officer can go and look."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

GAPS_MAX = 1000  # of one check: whoever broke more than that needs no longer list


@dataclasses.dataclass(frozen=True)
class Gap:
    """`check`: stable name; `what`: stable words with the numbers; the ids of what breaks it, as far as it has them."""

    check: str
    what: str
    zh: str
    en: str
    loop: int | None = None
    subject: UUID | None = None
    unit: int | None = None
    fact: UUID | None = None

    def as_json(self) -> dict[str, Any]:
        found = dataclasses.asdict(self)
        return {k: str(v) if isinstance(v, UUID) else v for k, v in found.items()}


@dataclasses.dataclass(frozen=True)
class Found:
    """What one check looked at, and what it found."""

    n: int
    gaps: list[Gap]
