"""Seals: each minute the facts that can no longer be joined by others are closed for ever in a chain of hashes.

What is sealed: every fact whose transaction is older than the oldest one still running, and in no earlier seal. So
nothing can arrive behind a seal, and "as of TIME" means the last seal before TIME.

    leaf  = HMAC-SHA-256(the fact's salt, 0x00 + canonical bytes of its header and digest)
    node  = SHA-256(0x01 + left + right); an odd one goes up as it is; the root of nothing is SHA-256 of nothing
    chain = SHA-256(chain before + root + epoch, number, upto, count and time of the seal, 8 bytes each, big-endian)

Canonical bytes are PostgreSQL's binary form of the row (`record_send`): the number of columns, then for each its type,
the length of its value (-1 for NULL, so that NULL and the empty text differ) and the value; times are microseconds, no
time zone or date style enters. A salted leaf can be kept when the fact has been lawfully destroyed.

A chain proves nothing to somebody who can rewrite all of it, unless an earlier head is kept elsewhere: see `heads`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from uuid import UUID

import psycopg
from django.db import connection, transaction

from bihuan.kernel import clock
from bihuan.ledger.gaps import GAPS_MAX, Gap
from bihuan.ledger.models import Seal

START = bytes(32)  # what stands before the first seal
_LOCK = 0x7365616C  # "seal": one sealer at a time in a database
_HEAD = struct.Struct("!qqqqq")
_CHUNK_FACTS = 200_000  # facts that a verification holds in memory at once

_EPOCH_OF_COPY = datetime(2000, 1, 1, tzinfo=UTC)
_XID = "((xid::text)::bigint)"  # as the index fact_xid has it
HEADER = (
    'id, act, event, kind, subject, region, happened_at, received_at, effective_at, "by", unit, device, device_seq,'
    " purpose, corrects, digest, xid"
)


@dataclasses.dataclass(frozen=True)
class Head:
    """The end of the chain: what a witness keeps."""

    epoch: int
    no: int
    chain: bytes

    def __str__(self) -> str:
        return f"{self.epoch} {self.no} {self.chain.hex()}"


@dataclasses.dataclass(frozen=True)
class _Sealed:
    """The row of a seal, without its leaves."""

    epoch: int
    no: int
    upto: int
    n_facts: int
    root: bytes
    chain: bytes
    sealed_at: datetime


_ROW = "epoch, no, upto, n_facts, root, chain, sealed_at"


def _row(values: Sequence) -> _Sealed:
    epoch, no, upto, n, root, chain, sealed_at = values
    return _Sealed(epoch, no, upto, n, bytes(root), bytes(chain), sealed_at)


# --- the hashes ---------------------------------------------------------------------------------------------------


def leaf(salt: bytes, canonical: bytes) -> bytes:
    return hmac.digest(salt, b"\x00" + canonical, "sha256")


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The Merkle root of leaves in their order."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level, sha256 = list(leaves), hashlib.sha256
    while len(level) > 1:
        odd = [level[-1]] if len(level) % 2 else []
        level = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)] + odd
    return level[0]


def chain_of(before: bytes, root: bytes, *, epoch: int, no: int, upto: int, n_facts: int, sealed_at: datetime) -> bytes:
    microseconds = (sealed_at - _EPOCH_OF_COPY) // timedelta(microseconds=1)
    return hashlib.sha256(before + root + _HEAD.pack(epoch, no, upto, n_facts, microseconds)).digest()


# --- which facts belong to a seal -----------------------------------------------------------------------------------
# Transaction numbers begin anew when a dump is restored elsewhere. The first seal of the new epoch (upto 0) closes what
# the old one had not sealed; from then on only facts heard after it belong to the new epoch.


def _ended(epoch: int, began: dict[int, datetime]) -> datetime | None:
    """When the next epoch began; None in the last one. Numbers of epochs grow, with gaps where a restore was undone by another."""
    return min(((e, at) for e, at in began.items() if e > epoch), default=(0, None))[1]


def _range(before: _Sealed | None, epoch: int, upto: int, began: dict[int, datetime]) -> tuple[str, dict]:
    """SQL condition of the facts of the seal after `before` in `epoch`. `began`: epoch > 1 -> sealed_at of its first seal."""
    parameters = {
        "lo": before.upto if before else 0, "hi": upto, "from_at": began.get(before.epoch if before else 1),
        "to_at": _ended(epoch, began), "at": began.get(epoch),
    }  # fmt: skip
    conditions = [f"{_XID} >= %(lo)s"]
    if before is not None and before.epoch < epoch:
        if epoch in began:  # facts of the new epoch may have the same numbers
            conditions.append("received_at <= %(at)s")
    else:
        conditions.append(f"{_XID} < %(hi)s")
        if parameters["to_at"] is not None:
            conditions.append("received_at <= %(to_at)s")
    if parameters["from_at"] is not None:
        conditions.append("received_at > %(from_at)s")
    return " AND ".join(conditions), parameters


def _stream(columns: str, condition: str, parameters: dict, order: str) -> Iterator[bytes]:
    """Rows of facts as COPY sends them (binary; one message a row), as the driver's own cursor: no row is kept."""
    # Inside a transaction. The statistics know nothing of the newest rows; the index of transactions always helps here.
    with psycopg.ClientCursor(connection.connection) as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        query = cursor.mogrify(f"SELECT {columns} FROM fact WHERE {condition} ORDER BY {order}", parameters)
        with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as copy:
            first = True
            for message in copy:
                data = bytes(message)
                if first:  # the file's header (19 bytes) comes before the first row, in the same message or alone
                    data, first = data[19:], False
                if len(data) > 2:  # not the trailer
                    yield data


_SHORT = struct.Struct("!h")
_LONG = struct.Struct("!i")
_INT8 = struct.Struct("!q")


def _fields(row: bytes) -> list[bytes]:
    n, at, found = _SHORT.unpack_from(row)[0], 2, []
    for _ in range(n):
        size = _LONG.unpack_from(row, at)[0]
        found.append(row[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def seal_minute(now: datetime | None = None, *, restored: bool = False, epochs_used: int = 0) -> Seal | None:
    """Seal what can be sealed by now; None when there is nothing new, or another sealer is at work. Worker's role.

    `now`: product time. A fact that was heard a moment later than `now` but is sealed moves the seal's time after it, so
    that every sealed fact was heard before its seal. `restored`: see `new_epoch`; a dump that was restored on another
    server is noticed by its transaction numbers.
    """
    now = now or clock.now()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return None
        last = _last(cursor)
        cursor.execute(
            "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
        )
        upto, next_xid = cursor.fetchone()
        announced, restored = restored, last is not None and (restored or next_xid < last.upto)
        epoch = 1 if last is None else max(last.epoch, epochs_used) + 1 if restored else last.epoch
        if restored:
            upto = 0
        elif last is not None and upto <= last.upto:
            return None
        leaves = []
        condition, parameters = _range(last, epoch, upto, _began(cursor))
        columns = f"salt, record_send(ROW({HEADER})), received_at"
        micros = 0
        for row in _stream(columns, condition, parameters, "id"):
            salt, canonical, received = _fields(row)
            leaves.append(leaf(salt, canonical))
            micros = max(micros, _INT8.unpack(received)[0])
        if not leaves and not restored:
            return None
        heard = _EPOCH_OF_COPY + timedelta(microseconds=micros)
        times = [heard, *([last.sealed_at] if last else [])]
        if announced:  # nobody works yet: just before whatever comes now, so that no earlier cut-off gets other facts
            times.append(now - timedelta(microseconds=1))
        elif not restored:  # an unannounced epoch begins when its last old fact was heard: new ones may have come already
            times.append(now)
        sealed_at = max(times)
        no = 1 if last is None or restored else last.no + 1
        root = root_of(leaves)
        chain = chain_of(last.chain if last else START, root, epoch=epoch, no=no, upto=upto, n_facts=len(leaves), sealed_at=sealed_at)
        cursor.execute(
            "INSERT INTO seal (epoch, no, upto, n_facts, leaves, root, chain, sealed_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [epoch, no, upto, len(leaves), b"".join(leaves), root, chain, sealed_at],
        )
    return Seal(epoch=epoch, no=no, upto=upto, n_facts=len(leaves), leaves=b"".join(leaves), root=root, chain=chain, sealed_at=sealed_at)


def new_epoch(epochs_used: int = 0, now: datetime | None = None) -> Seal | None:
    """After a restore: a first seal of a new epoch, which closes what the backup had and nobody had sealed. Worker's role.

    So the numbers that the lost tail had are never given again, and who keeps the heads sees where history goes on.
    `epochs_used`: the highest number that somebody outside has kept, where an earlier restore is restored over. None
    when nothing was ever sealed, or another sealer is at work.
    """
    return seal_minute(now, restored=True, epochs_used=epochs_used)


def _last(cursor) -> _Sealed | None:
    cursor.execute(f"SELECT {_ROW} FROM seal ORDER BY epoch DESC, no DESC LIMIT 1")
    found = cursor.fetchone()
    return _row(found) if found else None


def _began(cursor) -> dict[int, datetime]:
    cursor.execute("SELECT epoch, sealed_at FROM seal WHERE epoch > 1 AND no = 1")
    return dict(cursor.fetchall())


def head() -> Head | None:
    """The end of the chain, for a witness outside; None before the first seal."""
    with connection.cursor() as cursor:
        last = _last(cursor)
    return Head(last.epoch, last.no, last.chain) if last else None


def cutoff(at: datetime) -> Seal | None:
    """The last seal before (or at) a moment: figures as of that moment count the facts that it and earlier ones closed."""
    return Seal.objects.filter(sealed_at__lte=at).defer("leaves").order_by("-epoch", "-no").first()


def sealed_by(seal: Seal, fact: str = "f") -> tuple[str, list]:
    """SQL condition and parameters: the fact `fact` was closed by `seal` or an earlier one."""
    xid = f"(({fact}.xid::text)::bigint)"
    with connection.cursor() as cursor:
        began = _began(cursor)
    condition, values = (
        (f"{xid} < %s", [seal.upto]) if seal.epoch == 1 else (f"({fact}.received_at <= %s OR {xid} < %s)", [began[seal.epoch], seal.upto])
    )  # noqa: E501
    if (ended := _ended(seal.epoch, began)) is not None:  # facts of a later epoch may have smaller numbers
        condition, values = f"({condition} AND {fact}.received_at <= %s)", [*values, ended]
    return condition, values


# --- verification ---------------------------------------------------------------------------------------------------


def _broken(what: str, zh: str, en: str, fact: UUID | None = None) -> Gap:
    return Gap("seal_broken", what, zh, en, fact=fact)


def verify_chain(
    epoch: int | None = None,
    witnessed: Mapping[tuple[int, int], bytes] | None = None,
    endings: Collection[int] = (),
) -> list[Gap]:
    """Recompute leaves, roots and chain from the facts that are there; names the bad entries, the first one first.

    `epoch`: only that one. `witnessed`: (epoch, number) -> chain, as somebody outside keeps them. `endings`: whose
    destroyed facts may be missing. Finds facts changed, missing or put in behind a seal, seals changed, missing or cut
    off, and a chain written anew.
    """
    witnessed = witnessed or {}
    found: list[tuple[tuple[int, int], Gap]] = []
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_ROW} FROM seal ORDER BY epoch, no")
        seals = [_row(r) for r in cursor.fetchall()]
        began = _began(cursor)
    for chunk in _chunks(seals, epoch):
        found += [((s.epoch, s.no), gap) for s, before in chunk for gap in _check_seal(s, before, witnessed)]
        found += _check_facts(chunk, began, endings)
        if len(found) >= GAPS_MAX:
            break
    there = {(seal.epoch, seal.no) for seal in seals}
    for e, no in sorted(k for k in witnessed if k not in there and (epoch is None or k[0] == epoch)):
        gap = _broken(
            f"seal {e}/{no} missing", f"第{e}期第{no}号封存不见了（外部留有其校验值）", f"seal {e}/{no} is gone; a witness has its head"
        )
        found.append(((e, no), gap))
    found.sort(key=lambda item: item[0])  # stable: of one seal the chain comes first, then its facts
    return [gap for _, gap in found][:GAPS_MAX]


def _chunks(seals: list[_Sealed], epoch: int | None = None) -> Iterator[list[tuple[_Sealed, _Sealed | None]]]:
    """Consecutive seals of one epoch, each with the one before it, of as many facts as are held in memory at once."""
    before: _Sealed | None = None
    chunk: list[tuple[_Sealed, _Sealed | None]] = []
    size = 0
    for seal in seals:
        if epoch is None or seal.epoch == epoch:
            new_epoch = before is not None and before.epoch != seal.epoch
            # The first seal of an epoch has a range of its own.
            if chunk and (size + seal.n_facts > _CHUNK_FACTS or new_epoch or (chunk[0][0].epoch > 1 and chunk[0][0].no == 1)):
                yield chunk
                chunk, size = [], 0
            chunk.append((seal, before))
            size += seal.n_facts
        before = seal
    if chunk:
        yield chunk


def _check_seal(seal: _Sealed, before: _Sealed | None, witnessed: Mapping[tuple[int, int], bytes]) -> list[Gap]:
    """Number, chain and witness of one seal."""
    name = f"seal {seal.epoch}/{seal.no}"
    zh = f"第{seal.epoch}期第{seal.no}号封存"
    gaps = []
    follows = (
        (before is None and (seal.epoch, seal.no) == (1, 1))
        or (before is not None and seal.epoch == before.epoch and seal.no == before.no + 1 and seal.upto >= before.upto)
        or (before is not None and seal.epoch > before.epoch and seal.no == 1)
    )
    if not follows:
        gaps.append(
            _broken(
                f"{name} does not follow", f"{zh}与前一号不相接，中间有缺失", f"{name} does not follow the one before: some are missing"
            )
        )
    chain = chain_of(
        before.chain if before else START, seal.root, epoch=seal.epoch, no=seal.no, upto=seal.upto, n_facts=seal.n_facts,
        sealed_at=seal.sealed_at,
    )  # fmt: skip
    if chain != seal.chain:
        gaps.append(
            _broken(f"{name} chain", f"{zh}的链值对不上：封存被改动", f"{name}: its chain value does not follow: a seal was changed")
        )
    kept = witnessed.get((seal.epoch, seal.no))
    if kept is not None and kept != seal.chain:
        gaps.append(
            _broken(
                f"{name} rewritten",
                f"{zh}与外部留存的校验值不同：链被重写",
                f"{name} differs from the head that a witness keeps: the chain was rewritten",
            )
        )
    return gaps


def _check_facts(
    chunk: list[tuple[_Sealed, _Sealed | None]], began: dict[int, datetime], endings: Collection[int]
) -> list[tuple[tuple[int, int], Gap]]:
    """Leaves and roots of consecutive seals of one epoch, against the facts that are there."""
    stored, found = _stored(chunk), _facts_by_seal(chunk, began)
    (first, _), last = chunk[0], chunk[-1][0]
    destroyed: dict[int, set[int]] = {}
    if endings:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT no, positions FROM destroyed_leaf WHERE epoch = %s AND no BETWEEN %s AND %s AND ending = ANY(%s)",
                [first.epoch, first.no, last.no, list(endings)],
            )
            for no, positions in cursor.fetchall():
                destroyed.setdefault(no, set()).update(p for (p,) in struct.iter_unpack("!I", bytes(positions)))
    return [((s.epoch, s.no), gap) for s, _ in chunk for gap in _compare(s, stored[s.no], found.get(s.no, []), destroyed.get(s.no, set()))]


def _stored(chunk: list[tuple[_Sealed, _Sealed | None]]) -> dict[int, bytes]:
    """Number of the seal -> its leaves as they were sealed."""
    (first, _), last = chunk[0], chunk[-1][0]
    with connection.cursor() as cursor:
        cursor.execute("SELECT no, leaves FROM seal WHERE epoch = %s AND no BETWEEN %s AND %s", [first.epoch, first.no, last.no])
        return {no: bytes(leaves) for no, leaves in cursor.fetchall()}


def _facts_by_seal(
    chunk: list[tuple[_Sealed, _Sealed | None]], began: dict[int, datetime], only: str = "true", only_parameters: Mapping | None = None
) -> dict[int, list[tuple[UUID, bytes]]]:
    """Number of the seal -> its facts in order of id, each with its leaf. `only`: a further condition."""
    (first, before_first), last = chunk[0], chunk[-1][0]
    condition, parameters = _range(before_first, first.epoch, last.upto, began)
    uptos = [seal.upto for seal, _ in chunk] if len(chunk) > 1 else []
    # width_bucket: how many of the limits lie at or below the transaction, that is, which seal of the chunk has it.
    bucket = f"width_bucket({_XID}, %(uptos)s::bigint[])" if uptos else "0"
    columns = f"{bucket}::int, id, salt, record_send(ROW({HEADER}))"
    found: dict[int, list[tuple[UUID, bytes]]] = {}
    with transaction.atomic():
        connection.ensure_connection()
        values = {**parameters, "uptos": uptos, **(only_parameters or {})}
        for row in _stream(columns, f"{condition} AND {only}", values, "1, 2"):
            no, id, salt, canonical = _fields(row)
            found.setdefault(first.no + _LONG.unpack(no)[0], []).append((UUID(bytes=id), leaf(salt, canonical)))
    return found


def positions_of(event: int, kept: Sequence[str]) -> Iterator[tuple[int, int, list[int]]]:
    """Epoch, number and where the leaves of an event's facts stand in that seal. `kept`: kinds that are left out.

    ValueError when a fact is not the one that was sealed: what is broken has to be looked into before it is destroyed.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_ROW} FROM seal ORDER BY epoch, no")
        seals = [_row(r) for r in cursor.fetchall()]
        began = _began(cursor)
    for chunk in _chunks(seals):
        stored = _stored(chunk)
        own = _facts_by_seal(chunk, began, "event = %(event)s AND kind <> ALL(%(kept)s)", {"event": event, "kept": list(kept)})
        for no, facts in sorted(own.items()):
            place = {stored[no][at : at + 32]: at // 32 for at in range(0, len(stored[no]), 32)}
            strange = [id for id, leaf_ in facts if leaf_ not in place]
            if strange:
                raise ValueError(f"fact {strange[0]} is not what was sealed in {chunk[0][0].epoch}/{no}")
            yield chunk[0][0].epoch, no, sorted(place[leaf_] for _, leaf_ in facts)


def _compare(seal: _Sealed, stored: bytes, found: list[tuple[UUID, bytes]], destroyed: set[int]) -> list[Gap]:
    """One seal's leaves against its facts. Leaves have no names: a change is named by the fact that stands in its place.

    `destroyed`: positions whose facts were lawfully destroyed, or soon will be: there they may be missing.
    """
    name, zh = f"seal {seal.epoch}/{seal.no}", f"第{seal.epoch}期第{seal.no}号封存"
    leaves = [stored[at : at + 32] for at in range(0, len(stored), 32)]
    gaps = []
    if root_of(leaves) != seal.root or len(leaves) != seal.n_facts:
        gaps.append(_broken(f"{name} leaves", f"{zh}的明细被改动", f"{name}: its leaves were changed"))
    there = {leaf_ for _, leaf_ in found}
    standing = [(no, leaf_) for no, leaf_ in enumerate(leaves) if no not in destroyed or leaf_ in there]
    if [leaf_ for _, leaf_ in standing] == [leaf_ for _, leaf_ in found]:
        return gaps
    sealed = set(leaves)
    strange = [id for id, leaf_ in found if leaf_ not in sealed]
    lost = [no for no, leaf_ in standing if leaf_ not in there]
    for id, no in zip_longest(strange, lost):
        if id is not None and no is not None:
            gaps.append(
                _broken(
                    f"{name} fact changed", f"{zh}：办理记录 {id} 在封存后被改动", f"{name}: fact {id} was changed after it was sealed", id
                )
            )
        elif id is not None:
            gaps.append(
                _broken(f"{name} fact added", f"{zh}：办理记录 {id} 是封存后插入的", f"{name}: fact {id} was put in behind the seal", id)
            )
        else:
            gaps.append(
                _broken(f"{name} leaf {no} has no fact", f"{zh}：第{no + 1}条办理记录不见了", f"{name}: the fact of leaf {no} is gone")
            )
        if len(gaps) >= GAPS_MAX:
            break
    if not strange and not lost:
        gaps.append(_broken(f"{name} order", f"{zh}的明细次序被改动", f"{name}: its leaves are in another order"))
    return gaps


def unsealed() -> int:
    """How many facts wait for the next seal."""
    with connection.cursor() as cursor:
        last = _last(cursor)
        condition, parameters = _range(last, last.epoch if last else 1, 2**63 - 1, _began(cursor))
        cursor.execute(f"SELECT count(*) FROM fact WHERE {condition}", parameters)
        return cursor.fetchone()[0]
