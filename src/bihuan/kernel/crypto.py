"""Encryption and blind indexes of what identifies a person.

Values are sealed with AES-256-GCM; the first byte names the algorithm, so that another (SM4-GCM) can stand beside it.
Blind indexes are HMAC-SHA-256 cut to 16 bytes: an ID number has so little entropy that an unkeyed hash of it hides
nothing. Index keys belong to the installation and a class of data, so that a standing roll and an event's list meet;
encryption keys belong to an event and a class, so that they can be destroyed with the event. Both derive from, or are
wrapped by, a master key that is kept outside the database and its backups.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

AES_256_GCM = b"\x01"
_NONCE_BYTES = 12
INDEX_BYTES = 16


class Prepared:
    """HMAC-SHA-256 whose two key blocks are hashed once and copied (ENGINE figures: 2.3 times hmac.digest)."""

    def __init__(self, key: bytes) -> None:
        block = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(b ^ 0x36 for b in block))
        self._outer = hashlib.sha256(bytes(b ^ 0x5C for b in block))

    def digest(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


class Keys:
    """The installation's keys, all derived from one master key of 32 bytes."""

    def __init__(self, master: bytes) -> None:
        if len(master) != 32:
            raise ValueError("the master key must have 32 bytes")
        self._master = master
        self._indexes: dict[str, Prepared] = {}

    @classmethod
    def from_file(cls, path: Path) -> Keys:
        """Read the master key; make it (mode 0600) when the file is not there. Refuses a file that others can read."""
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(os.urandom(32))
        if path.stat().st_mode & 0o077:
            raise PermissionError(f"{path}: the master key may be read by its owner only (chmod 600)")
        return cls(path.read_bytes())

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose."""
        return hmac.digest(self._master, purpose.encode(), "sha256")

    def index(self, kind: str, value: str) -> bytes:
        """The blind index of a value of a kind ("document", "phone", "name"): 16 bytes."""
        prepared = self._indexes.get(kind)
        if prepared is None:
            prepared = self._indexes[kind] = Prepared(self.derive(f"index/{kind}"))
        return prepared.digest(value.encode())[:INDEX_BYTES]

    def wrap(self, key: bytes, label: str) -> bytes:
        """A data key as it may be stored: sealed under the master key, bound to its label."""
        return seal(self.derive("wrap"), key, label.encode())

    def unwrap(self, wrapped: bytes, label: str) -> bytes:
        return unseal(self.derive("wrap"), wrapped, label.encode())


def seal(key: bytes, plain: bytes, bound_to: bytes) -> bytes:
    """Encrypt; the value opens only with the same key and the same `bound_to` (the record that it belongs to)."""
    nonce = os.urandom(_NONCE_BYTES)
    return AES_256_GCM + nonce + AESGCM(key).encrypt(nonce, plain, bound_to)


def unseal(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    """Decrypt. ValueError when the algorithm is unknown; cryptography's InvalidTag when key, value or record differ."""
    if sealed[:1] != AES_256_GCM:
        raise ValueError(f"unknown algorithm {sealed[:1]!r}")
    return AESGCM(key).decrypt(sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :], bound_to)
