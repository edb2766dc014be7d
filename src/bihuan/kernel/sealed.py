"""Files that leave the machine: compressed and sealed piece by piece, so that size does not matter and no end is lost.

    bihuan-sealed 1 LF, 16 bytes of salt, then for each piece: its length (4 bytes, big-endian) and AES-256-GCM of it

The key of a file is HMAC-SHA-256 of the given key over the salt; the nonce is the number of the piece, and its last byte
is 1 for the last piece. So pieces cannot be left out, exchanged, or cut off at the end without being noticed.
"""

from __future__ import annotations

import hmac
import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"bihuan-sealed 1\n"
PIECE_BYTES = 1 << 20
_LENGTH = struct.Struct("!I")


def _aead(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(hmac.digest(key, MAGIC + salt, "sha256"))


def _nonce(no: int, last: bool) -> bytes:
    return no.to_bytes(11, "big") + bytes([last])


def write(plain: BinaryIO, sealed: BinaryIO, key: bytes) -> int:
    """Seal all that `plain` gives; returns how many bytes that was. The caller flushes to the disk."""
    salt = os.urandom(16)
    aead = _aead(key, salt)
    sealed.write(MAGIC + salt)
    piece, size, no = plain.read(PIECE_BYTES), 0, 0
    while True:
        after = plain.read(PIECE_BYTES) if piece else b""
        body = aead.encrypt(_nonce(no, not after), zlib.compress(piece, 1), None)
        sealed.write(_LENGTH.pack(len(body)) + body)
        size, no = size + len(piece), no + 1
        if not after:
            return size
        piece = after


def pieces(sealed: BinaryIO, key: bytes) -> Iterator[bytes]:
    """What was sealed, piece by piece. ValueError when it is another format, damaged, cut off, or of another key."""
    if sealed.read(len(MAGIC)) != MAGIC:
        raise ValueError("no sealed file")
    aead, no = _aead(key, sealed.read(16)), 0
    while True:
        head = sealed.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            raise ValueError("cut off")
        body = sealed.read(_LENGTH.unpack(head)[0])
        plain, last = _open(aead, no, body)
        yield plain
        if last:
            if sealed.read(1):
                raise ValueError("something stands after the end")
            return
        no += 1


def _open(aead: AESGCM, no: int, body: bytes) -> tuple[bytes, bool]:
    for last in (False, True):
        try:
            return zlib.decompress(aead.decrypt(_nonce(no, last), body, None)), last
        except InvalidTag:
            continue
    raise ValueError(f"piece {no} is damaged, or sealed with another key")


class Reader:
    """The plain bytes as a file to read from, for programs that want one."""

    def __init__(self, sealed: BinaryIO, key: bytes) -> None:
        self._pieces, self._rest = pieces(sealed, key), b""

    def read(self, size: int = -1) -> bytes:
        found = [self._rest]
        n = len(self._rest)
        while size < 0 or n < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            found.append(piece)
            n += len(piece)
        whole = b"".join(found)
        if size < 0:
            self._rest = b""
            return whole
        self._rest = whole[size:]
        return whole[:size]
