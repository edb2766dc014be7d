"""What is secret about signing in, and how it is kept: hashed where it is only compared, sealed where it is needed again."""

from __future__ import annotations

import functools
import hashlib
import hmac
import secrets
from uuid import UUID

from django.conf import settings

from bihuan.kernel.crypto import Keys, seal, unseal

KEY_BYTES = 32
_PARTS, _PART_BYTES = 3, 2  # a password to be read from paper once: 9f3a-11c0-77de
_RECOVERY_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that is read as something else


@functools.lru_cache(maxsize=4)
def _keys(path) -> Keys:
    return Keys.from_file(path)


def _derived(purpose: str) -> bytes:
    return _keys(settings.MASTER_KEY_FILE).derive(f"access/{purpose}")


def keyed(purpose: str, value: str) -> bytes:
    """A keyed hash: a code of six digits, or a login, cannot be guessed back from the table alone."""
    return hmac.digest(_derived(purpose), value.encode(), "sha256")


def plain_hash(key: str) -> bytes:
    """SHA-256 of a key of 256 random bits, which nobody guesses."""
    return hashlib.sha256(key.encode()).digest()


def same(a: bytes, b: bytes) -> bool:
    return hmac.compare_digest(bytes(a), bytes(b))


def seal_totp(secret: str, officer: int) -> bytes:
    return seal(_derived("totp"), secret.encode(), f"totp/{officer}".encode())


def open_totp(sealed: bytes, officer: int) -> str:
    return unseal(_derived("totp"), bytes(sealed), f"totp/{officer}".encode()).decode()


def seal_late(text: bytes, entry: UUID) -> bytes:
    return seal(_derived("late"), text, b"late" + entry.bytes)


def open_late(sealed: bytes, entry: UUID) -> bytes:
    return unseal(_derived("late"), bytes(sealed), b"late" + entry.bytes)


def new_key() -> str:
    return secrets.token_urlsafe(KEY_BYTES)


def new_password() -> str:
    """A password that somebody reads out or hands over on paper, to be changed at the first sign-in."""
    return "-".join(secrets.token_hex(_PART_BYTES) for _ in range(_PARTS))


def new_digits(n: int) -> str:
    return "".join(secrets.choice("0123456789") for _ in range(n))


def new_recovery_code() -> str:
    return "-".join("".join(secrets.choice(_RECOVERY_ALPHABET) for _ in range(5)) for _ in range(2))
