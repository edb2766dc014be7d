"""改动办理记录：以数据库超级用户的身份改、删、插、换、截尾、重写，都要查出来 / change the ledger as a superuser: all found.

Each change is made in a transaction of its own, looked at by `audit verify` against the heads that somebody elsewhere
keeps, and rolled back. Found means: the first bad entry that is named is the one that was changed (a fact by its id where
it is there, else the seal that held it).
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg

if TYPE_CHECKING:
    from drills.harness import Drill

OPTIONS = {
    "changes": (1000, "多少处改动 / how many changes"),
    "minutes": (40, "改动前有多少次封存 / seals before the first change"),
    "records": (25, "每次封存的办理记录 / records of each seal"),
    "seed": (20220828, "随机数种子 / seed"),
}  # fmt: skip

_FILL = """
WITH made AS (
  SELECT %(first)s::uuid AS act, i, md5(%(minute)s || '/' || i)::uuid AS subject FROM generate_series(1, %(n)s) AS i),
s AS (INSERT INTO subject (id, kind) SELECT subject, 'premises' FROM made ON CONFLICT DO NOTHING)
SELECT subject FROM made ORDER BY i
"""


@dataclass(frozen=True)
class Entry:
    """A sealed fact: its id, and epoch, number and transaction of its seal."""

    id: UUID
    epoch: int
    no: int
    xid: int


def fill(minutes: int, records: int, files: int = 1) -> None:
    """Calls of the duty desk about made-up premises: some records a minute, sealed. And one list that came in."""
    import polars as pl
    from django.db import connection, transaction

    from bihuan.access import queries as access
    from bihuan.access.action import action
    from bihuan.intake.actions import store
    from bihuan.kernel import clock, ids
    from bihuan.leads.facts import CALL_STARTED
    from bihuan.ledger import seals
    from bihuan.loops.record import record_many
    from bihuan.site.demo import event

    @action
    def calls(*, by, subjects: list[UUID], act: UUID) -> None:
        rows = [
            {"id": str(ids.derived_id(act, no)), "subject": str(subject), "episode": "2022-08-27", "until_at": clock.now()}
            for no, subject in enumerate(subjects)
        ]
        record_many(CALL_STARTED, pl.DataFrame(rows), event=event(), by=by, act=act)

    post = access.post_of("console")
    made_up = "姓名,手机号码\n王一,13900000001\n".encode()
    for _ in range(files):
        store(by=post, event=event(), kind="leads", source="data", name="a.csv", data=made_up, act=ids.new_id())
    for minute in range(minutes):
        act = ids.new_id()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_FILL, {"first": act, "minute": f"{act}/{minute}", "n": records})
            subjects = [subject for (subject,) in cursor.fetchall()]
        answer = calls(by=post, subjects=subjects, act=act)
        if answer is not None:
            raise answer
        seals.seal_minute()


def entries() -> list[Entry]:
    """Every sealed fact with its seal (the first epoch: the drill's server was never restored)."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT f.id, s.epoch, s.no, (f.xid::text)::bigint FROM fact f JOIN LATERAL (SELECT epoch, no FROM seal"
            " WHERE upto > (f.xid::text)::bigint ORDER BY no LIMIT 1) s ON true ORDER BY s.no, f.id"
        )
        return [Entry(*row) for row in cursor.fetchall()]


# --- what a superuser may do: each returns what has to be named first --------------------------------------------------

Change = Callable[[psycopg.Cursor, random.Random, list[Entry]], set[str]]


def edit(db: psycopg.Cursor, dice: random.Random, there: list[Entry]) -> set[str]:
    """One column of one fact."""
    entry = dice.choice(there)
    column, value = dice.choice(
        [
            ("happened_at", "happened_at - interval '1 minute'"),
            ("received_at", "received_at + interval '1 microsecond'"),
            ("effective_at", "effective_at - interval '1 day'"),
            ("unit", "unit + 1"),
            ('"by"', '"by" + 1'),
            ("region", "nullif(1, region)"),
            ("device", "0"),
            ("device_seq", "0"),
            ("purpose", "purpose || ' '"),
            ("kind", "kind || 'x'"),
            ("subject", "md5(subject::text)::uuid"),
            ("act", "md5(act::text)::uuid"),
            ("corrects", "id"),
            ("event", "event + 1"),
            ("digest", "sha256(digest)"),
            ("salt", "substr(sha256(salt), 1, 16)"),
        ]
    )
    db.execute(f"UPDATE fact SET {column} = {value} WHERE id = %s", [entry.id])
    return {str(entry.id)}


def edit_content(db: psycopg.Cursor, dice: random.Random, there: list[Entry]) -> set[str]:
    """The details of one fact, in its module's table."""
    entry = dice.choice(there)
    db.execute("UPDATE call_started SET until_at = until_at + interval '1 second' WHERE fact = %s", [entry.id])
    return {str(entry.id)}


def delete(db: psycopg.Cursor, dice: random.Random, there: list[Entry]) -> set[str]:
    """A fact with its details."""
    entry = dice.choice(there)
    db.execute("DELETE FROM call_started WHERE fact = %s", [entry.id])
    db.execute("DELETE FROM fact WHERE id = %s", [entry.id])
    return {f"seal {entry.epoch}/{entry.no} "}


def insert(db: psycopg.Cursor, dice: random.Random, there: list[Entry]) -> set[str]:
    """A forged fact behind a seal, like its neighbour in everything."""
    from bihuan.kernel import ids

    entry, forged = dice.choice(there), ids.new_id()
    columns = 'act, subject, happened_at, received_at, effective_at, xid, event, region, "by", unit, kind, purpose, digest, salt'
    db.execute(f"INSERT INTO fact (id, {columns}) SELECT %s, {columns} FROM fact WHERE id = %s", [forged, entry.id])
    db.execute("INSERT INTO call_started SELECT %s, episode, until_at FROM call_started WHERE fact = %s", [forged, entry.id])
    return {str(forged)}


def move(db: psycopg.Cursor, dice: random.Random, there: list[Entry]) -> set[str]:
    """Two facts change places: each gets the transaction, and so the seal, of the other."""
    one, other = dice.sample(there, 2)
    while one.no == other.no:
        other = dice.choice(there)
    for entry, xid in ((one, other.xid), (other, one.xid)):
        db.execute("UPDATE fact SET xid = %s::text::xid8 WHERE id = %s", [xid, entry.id])
    return {f"seal {one.epoch}/{min(one.no, other.no)} "}


def reorder_leaves(db: psycopg.Cursor, dice: random.Random, there: list[Entry]) -> set[str]:
    """Two leaves of one seal change places."""
    no = dice.choice(sorted(n for n, size in Counter(e.no for e in there).items() if size > 1))
    (leaves,) = db.execute("SELECT leaves FROM seal WHERE no = %s", [no]).fetchone()
    listed = [bytes(leaves)[at : at + 32] for at in range(0, len(leaves), 32)]
    one, other = dice.sample(range(len(listed)), 2)
    listed[one], listed[other] = listed[other], listed[one]
    db.execute("UPDATE seal SET leaves = %s WHERE no = %s", [b"".join(listed), no])
    return {f"seal 1/{no} "}


def drop_seal(db: psycopg.Cursor, dice: random.Random, there: list[Entry]) -> set[str]:
    """One seal, its facts stay."""
    no = dice.choice(there).no
    db.execute("DELETE FROM seal WHERE no = %s", [no])
    return {f"seal 1/{no} "}


def change_seal(db: psycopg.Cursor, dice: random.Random, there: list[Entry]) -> set[str]:
    no = dice.choice(there).no
    column, value = dice.choice(
        [("root", "sha256(root)"), ("chain", "sha256(chain)"), ("sealed_at", "sealed_at + interval '1 second'"), ("upto", "upto + 1")]
    )
    db.execute(f"UPDATE seal SET {column} = {value} WHERE no = %s", [no])
    return {f"seal 1/{no} "}


def truncate(db: psycopg.Cursor, dice: random.Random, there: list[Entry]) -> set[str]:
    """The tail: the last seals with their facts and contents, as if they had never been."""
    no = dice.choice(there).no
    gone = [e.id for e in there if e.no >= no]
    db.execute("DELETE FROM call_started WHERE fact = ANY(%s)", [gone])
    db.execute("DELETE FROM fact WHERE id = ANY(%s)", [gone])
    db.execute("DELETE FROM seal WHERE no >= %s", [no])
    return {f"seal 1/{no} "}


def rechain(db: psycopg.Cursor, dice: random.Random, there: list[Entry]) -> set[str]:
    """A fact is changed, and leaves, roots and links are computed anew from there on: the chain holds again by itself."""
    from bihuan.ledger import seals

    entry = dice.choice(there)
    db.execute("UPDATE fact SET happened_at = happened_at - interval '1 day' WHERE id = %s", [entry.id])
    rows = db.execute("SELECT no, upto, n_facts, root, leaves, chain, sealed_at FROM seal ORDER BY no").fetchall()
    before, lo = seals.START, 0
    for no, upto, n_facts, root, leaves, chain, sealed_at in rows:
        if no >= entry.no:
            if no == entry.no:
                found = db.execute(
                    f"SELECT salt, record_send(ROW({seals.HEADER})) FROM fact WHERE (xid::text)::bigint >= %s AND (xid::text)::bigint < %s"
                    " ORDER BY id",
                    [lo, upto],
                ).fetchall()
                made = [seals.leaf(bytes(salt), bytes(canonical)) for salt, canonical in found]
                root, leaves = seals.root_of(made), b"".join(made)
            chain = seals.chain_of(before, root, epoch=1, no=no, upto=upto, n_facts=n_facts, sealed_at=sealed_at)
            db.execute("UPDATE seal SET root = %s, leaves = %s, chain = %s WHERE no = %s", [root, leaves, chain, no])
        before, lo = chain, upto
    return {f"seal 1/{entry.no} "}


def rewrite_time(db: psycopg.Cursor, dice: random.Random, there: list[Entry]) -> set[str]:
    """The clock is said to have been another one: times of a seal and all after it, linked anew."""
    from bihuan.ledger import seals

    first = dice.choice(there).no
    before = seals.START
    for no, upto, n, root, chain, sealed_at in db.execute(
        "SELECT no, upto, n_facts, root, chain, sealed_at FROM seal ORDER BY no"
    ).fetchall():
        if no >= first:
            moved: datetime = sealed_at + timedelta(hours=1)
            chain = seals.chain_of(before, root, epoch=1, no=no, upto=upto, n_facts=n, sealed_at=moved)
            db.execute("UPDATE seal SET sealed_at = %s, chain = %s WHERE no = %s", [moved, chain, no])
        before = chain
    return {f"seal 1/{first} "}


def flip_bit(db: psycopg.Cursor, dice: random.Random, there: list[Entry]) -> set[str]:
    """One bit on the disk: of a fact's hash or salt, of a seal, of a kept file."""
    table, column, n_bits = dice.choice(
        [
            ("fact", "digest", 256), ("fact", "salt", 128), ("seal", "leaves", 256), ("seal", "root", 256), ("seal", "chain", 256),
            ("intake_file", "blob", 512),
        ]
    )  # fmt: skip
    bit, entry = dice.randrange(n_bits), dice.choice(there)
    where, named = {
        "fact": ("id = %(id)s", str(entry.id)), "seal": ("no = %(no)s", f"seal 1/{entry.no} "),
        "intake_file": ("id = (SELECT min(id) FROM intake_file)", "file "),
    }[table]  # fmt: skip
    flipped = f"set_bit({column}, %(bit)s, 1 - get_bit({column}, %(bit)s))"
    db.execute(f"UPDATE {table} SET {column} = {flipped} WHERE {where}", {"bit": bit, "id": entry.id, "no": entry.no})
    return {named}


CHANGES: tuple[Change, ...] = (
    edit, edit_content, delete, insert, move, reorder_leaves, drop_seal, change_seal, truncate, rechain, rewrite_time, flip_bit,
)  # fmt: skip


def _found(against: Path) -> list[Any]:
    """What `audit verify --against FILE` looks at, in its order."""
    from bihuan.intake.verify import files_broken
    from bihuan.ledger import verify as ledger
    from bihuan.loops.verify import content_changed

    return (
        ledger.seal_broken(kept=ledger.kept_heads(against)).gaps
        + content_changed().gaps
        + ledger.details_missing().gaps
        + files_broken().gaps
    )


def strike(change: Change, dice: random.Random, there: list[Entry], against: Path) -> tuple[bool, bool, str]:
    """One change, made, looked for and undone: found at all, named first, and what was said. Django is the superuser."""
    from django.db import connection, transaction

    class Undo(Exception):
        pass

    try:
        with transaction.atomic():
            connection.ensure_connection()
            with psycopg.Cursor(connection.connection) as db:
                named = change(db, dice, there)
            gaps = _found(against)
            raise Undo
    except Undo:
        pass
    if not gaps:
        return False, False, f"{change.__name__} {sorted(named)}: nothing found"
    first = gaps[0]
    hit = any(name in f"{first.what} {first.fact or ''} " for name in named)
    return True, hit, f"{change.__name__} {sorted(named)}: {first.what} {first.fact or ''}"


def run(drill: Drill) -> None:
    from django.conf import settings
    from django.db import connection

    from bihuan.ledger import heads, seals
    from bihuan.site import setup
    from bihuan.site.address import SUPERUSER

    began = time.monotonic()
    fill(drill.minutes, drill.records)
    kept = Path(settings.HOME) / "elsewhere.heads"
    heads.bring(kept)
    there = entries()
    drill.figures |= {"seals": seals.head().no, "sealed records": len(there), "seconds to fill": round(time.monotonic() - began, 1)}
    dice = random.Random(drill.seed)
    made: Counter[str] = Counter()
    took = []
    with setup.acting_as(SUPERUSER):
        drill.must("the untouched ledger holds", [gap.what for gap in _found(kept)])
        for no in range(drill.changes):
            change = CHANGES[no % len(CHANGES)]
            started = time.monotonic()
            found, hit, said = strike(change, dice, there, kept)
            took.append(time.monotonic() - started)
            made[change.__name__] += 1
            drill.must("every change is found", [] if found else [said])
            drill.must("the first entry named is the changed one", [] if hit else [said])
            if not (no + 1) % 100:
                drill.say(f"{no + 1} changes")
        drill.must("the ledger holds when all are undone", [gap.what for gap in _found(kept)])
    connection.close()
    drill.figures |= {f"changes: {name}": n for name, n in made.items()}
    drill.figures["milliseconds a look, median"] = round(sorted(took)[len(took) // 2] * 1000, 1)
