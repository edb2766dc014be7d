"""The same row again: a keyed 64-bit mark of each checked row.

SipHash-2-4 (Aumasson and Bernstein 2012), whole columns at a time: a keyed function whose outputs say nothing about
the rows to who lacks the key, the same on every machine and in every version of the libraries. Marks find rows that
were sent before; they are not evidence: equal marks among a million rows are equal rows but for one case in forty
million, and who must be sure compares the rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl

# What makes two rows the same report. Line numbers, batches and warnings do not.
CONTENT = ("name", "doc", "phone", "origin", "arrived_at", "arrived_precision", "reason", "district_code", "address", "workplace", "remark")
_BLOCK = 1 << 14  # 16,384 rows of 64-bit words stay in the second-level cache
_THREADS = min(4, os.cpu_count() or 1)


def _rotate(x: np.ndarray, n: int, spare: np.ndarray) -> None:
    np.left_shift(x, np.uint64(n), out=spare)
    np.right_shift(x, np.uint64(64 - n), out=x)
    np.bitwise_or(x, spare, out=x)


def _round(v: list[np.ndarray], spare: np.ndarray) -> None:
    """One SipRound in place: a fresh array for each step would cost as much again."""
    a, b, c, d = v
    a += b
    _rotate(b, 13, spare)
    b ^= a
    _rotate(a, 32, spare)
    c += d
    _rotate(d, 16, spare)
    d ^= c
    a += d
    _rotate(d, 21, spare)
    d ^= a
    c += b
    _rotate(b, 17, spare)
    b ^= c
    _rotate(c, 32, spare)


def _in_blocks(rows: int, marks_of: Callable[[int], np.ndarray]) -> np.ndarray:
    """The marks of all rows, block by block: numpy and polars leave the interpreter free while they work."""
    out = np.empty(rows, dtype=np.uint64)

    def block(begin: int) -> None:
        out[begin : begin + _BLOCK] = marks_of(begin)

    if rows <= _BLOCK:
        block(0)
        return out
    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(block, range(0, rows, _BLOCK)))
    return out


def siphash(texts: pl.Series, key: bytes) -> np.ndarray:
    """SipHash-2-4 of the UTF-8 of each text (null as empty) under a key of 16 bytes, as uint64."""
    if len(key) != 16:
        raise ValueError("a key of 16 bytes")
    return _in_blocks(len(texts), lambda begin: _hashed(texts.slice(begin, _BLOCK).fill_null(""), key))


def _hashed(texts: pl.Series, key: bytes) -> np.ndarray:
    k0, k1 = np.frombuffer(key, dtype="<u8")
    sizes = texts.str.len_bytes().to_numpy().astype(np.int64)
    joined = texts.str.join("").cast(pl.Binary)  # bytes at once: a Python text in between costs twice the copying
    data = np.frombuffer((joined[0] or b"" if len(joined) else b"") + b"\0" * 8, dtype=np.uint8)
    words = np.ndarray(shape=(len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))  # a word at every byte
    # Rows of one length stand together: no round is spent on the shorter ones. Numbers of 16 bits are sorted without comparing.
    order = np.argsort(sizes.astype(np.uint16) if sizes.max(initial=0) < 1 << 16 else sizes, kind="stable")
    starts = np.cumsum(sizes) - sizes
    out = np.empty(len(sizes), dtype=np.uint64)
    out[order] = _block(words, starts[order], sizes[order], k0, k1)
    return out


def _block(words: np.ndarray, starts: np.ndarray, sizes: np.ndarray, k0: np.uint64, k1: np.uint64) -> np.ndarray:
    """SipHash of rows sorted by size."""
    n = len(starts)
    v = [
        np.full(n, k ^ np.uint64(c), dtype=np.uint64)
        for k, c in ((k0, 0x736F6D6570736575), (k1, 0x646F72616E646F6D), (k0, 0x6C7967656E657261), (k1, 0x7465646279746573))
    ]
    spare = np.empty(n, dtype=np.uint64)
    full = sizes // 8
    n_words = int(full[-1]) if n else 0
    firsts = np.searchsorted(full, np.arange(n_words), side="right")  # rows before the i-th have no word i
    for i, first in enumerate(firsts.tolist()):
        part = [x[first:] for x in v]
        word = words[starts[first:] + 8 * i]
        part[3] ^= word
        _round(part, spare[first:])
        _round(part, spare[first:])
        part[0] ^= word
    rest = (sizes % 8).astype(np.uint64)
    last = words[starts + 8 * full] & ((np.uint64(1) << (rest * np.uint64(8))) - np.uint64(1))
    last |= (sizes.astype(np.uint64) & np.uint64(0xFF)) << np.uint64(56)
    v[3] ^= last
    _round(v, spare)
    _round(v, spare)
    v[0] ^= last
    v[2] ^= np.uint64(0xFF)
    for _ in range(4):
        _round(v, spare)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def fingerprints(frame: pl.DataFrame, key: bytes, columns: tuple[str, ...] = CONTENT) -> np.ndarray:
    """A keyed 64-bit mark of what each row says, int64; equal for equal content on any line of any file.

    `key` has at least 16 bytes; the first 16 are used, so derive it for this purpose.
    """
    if len(key) < 16:
        raise ValueError("a key of at least 16 bytes")
    there = [frame.get_column(name).null_count() < frame.height for name in columns]
    parts: list[pl.Expr] = []
    empty = 0  # columns in a row of which the list says nothing: the same bytes as a column of nulls
    for name, told in zip(columns, there, strict=True):
        if not told:
            empty += 1
            continue
        if empty:
            parts.append(pl.lit("\x1f" * (empty - 1)))
            empty = 0
        column = pl.col(name)
        parts.append((column.to_physical() if frame.schema[name].is_temporal() else column).cast(pl.String).fill_null(""))
    if empty:
        parts.append(pl.lit("\x1f" * (empty - 1)))
    content = pl.concat_str(parts, separator="\x1f").alias("content")

    def marks_of(begin: int) -> np.ndarray:
        return _hashed(frame.slice(begin, _BLOCK).select(content).to_series(), key[:16])

    return _in_blocks(frame.height, marks_of).view(np.int64)


def dedupe(frame: pl.DataFrame, marks: np.ndarray) -> pl.DataFrame:
    """The first row of each content, in the order of the file."""
    return frame.filter(pl.Series(marks).is_first_distinct())
