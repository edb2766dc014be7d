"""What an alias' sealed value says: documents, phones, addresses."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable

from bihuan.kernel.crypto import unseal


@dataclasses.dataclass(frozen=True)
class Opened:
    """What an identity's sealed value says."""

    doc: str | None = None
    doc_kind: str | None = None
    phones: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    def merged(self, said: str) -> str:
        """This and what is newly said (JSON), as JSON; what was known first stays first."""
        new = json.loads(said)
        whole = {
            "doc": self.doc or new["doc"],
            "doc_kind": self.doc_kind or new["doc_kind"],
            "phones": _together(self.phones, new["phones"]),
            "addresses": _together(self.addresses, new["addresses"]),
        }
        return json.dumps(whole, ensure_ascii=False)


def opened(key: bytes, blob: bytes, subject: bytes) -> Opened:
    """Open an identity's sealed value; InvalidTag when it belongs to another alias or key."""
    said = json.loads(unseal(key, blob, subject))
    return Opened(said["doc"], said["doc_kind"], tuple(said["phones"]), tuple(said["addresses"]))


def _together(old: Iterable[str], new: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*old, *new]))
