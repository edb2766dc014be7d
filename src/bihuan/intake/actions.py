"""A file from upload to accounts: stored, read, checked, committed batch by batch."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from uuid import UUID

import polars as pl
import psycopg
from cryptography.exceptions import InvalidTag
from django.db import InterfaceError, OperationalError, connection, transaction

from bihuan.access import scope
from bihuan.access.action import action
from bihuan.access.decide import require
from bihuan.access.models import Post
from bihuan.access.permissions import Permission
from bihuan.identity import keys
from bihuan.intake import check, columns, parser, refusals, registry
from bihuan.intake.models import IntakeFile, IntakeMapping
from bihuan.intake.places import resolver_of
from bihuan.kernel import clock, crypto
from bihuan.kernel.refused import Refused
from bihuan.kernel.text import clean
from bihuan.loops.copy_frame import copy_frame
from bihuan.regions import queries as regions

log = logging.getLogger("bihuan.intake")

# One transaction holds locks for at most about two seconds.
BATCH_ROWS = 8_000
# A living process holds the file's lock, which the database lets go when its connection ends, and beats with every batch:
# one that lives and is silent this long has given up.
SILENCE = timedelta(seconds=60)
WARNINGS_KEPT = 500
LINES_TOLD = 20  # of each kind on a sheet
FAILURES_MAX = 3
BYTES_MAX = 200 * 1024 * 1024
OUTCOMES = ("created", "changed", "unchanged", "duplicate", "rejected")


@dataclasses.dataclass(frozen=True)
class Stored:
    """A file taken in; `seen_before` = the same bytes came from this unit before (they may come again: nothing changes)."""

    file: int
    seen_before: bool


@action
def store(
    *, by, event: int, kind: str, source: str, name: str, data: bytes, act: UUID, forced: dict | None = None, claim: bool = False
) -> Stored:
    """Keep a file, encrypted, before anything is read from it. Safe to repeat with the same act.

    `claim`: the caller goes on with `process` itself; otherwise the worker takes the file.

    Refuses: a kind or source that nobody registered, an empty file (`file_empty`), one over the limit (`file_too_large`).
    """
    require(by, Permission.LIST_IMPORT)
    if kind not in registry.kinds() or source not in registry.kind(kind).sources:
        raise Refused("source_unknown", "请选择名单来源。", "Please choose the source of the list.", "source")
    if not data:
        raise Refused("file_empty", "文件是空的，请检查后重新上传。", "The file is empty; please check and upload again.", name)
    if len(data) > BYTES_MAX:
        raise Refused("file_too_large", "文件超过200MB，请分成几份。", "The file is over 200 MB; please split it.", name)
    known = IntakeFile.objects.filter(act=act).first()
    if known is not None:
        return Stored(known.id, True)
    sha256 = hashlib.sha256(data).digest()
    before = IntakeFile.objects.filter(event=event, sha256=sha256, unit=by.unit_id).exists()
    key = keys.ensure_data_key(event, "files")
    file = IntakeFile.objects.create(
        act=act, event=event, kind=kind, source=source, name=clean(name.replace("\0", ""))[:200], size=len(data), sha256=sha256,
        blob=crypto.seal(key, data, b"file" + act.bytes), post=by.id, unit=by.unit_id,
        scope=regions.scope_of(by.unit.region_id), received_at=clock.now(), forced=forced,
        state="working" if claim else "waiting", beat_at=clock.real_now() if claim else None,
    )  # fmt: skip
    return Stored(file.id, before)


def original(file: IntakeFile) -> bytes:
    """The file's bytes as they came. Refuses `file_damaged` when the kept value or its hash was changed, by a
    single bit, and `event_destroyed`.
    """
    key = keys.data_key(file.event, "files")
    if key is None:
        raise keys.gone(file.event)
    try:
        data = crypto.unseal(key, bytes(file.blob), b"file" + file.act.bytes)
    except (InvalidTag, ValueError) as error:
        raise refusals.damaged(file.name) from error
    if hashlib.sha256(data).digest() != bytes(file.sha256):
        raise refusals.damaged(file.name)
    return data


@action
def remember(*, by, kind: str, mappings: dict[str, dict[str, int]]) -> None:
    """Keep for the unit what the columns of these heads are ({head: {field: column index}}), for its next list of the same form."""
    require(by, Permission.LIST_IMPORT)
    for head, fields in sorted(mappings.items()):
        IntakeMapping.objects.update_or_create(
            unit=by.unit_id, kind=kind, head=head,
            defaults={"fields": fields, "post": by.id, "said_at": clock.now()},
        )  # fmt: skip


@action
def forget(*, by, kind: str, heads: list[str]) -> int:
    """Read these heads by their names and contents again; how many were remembered."""
    require(by, Permission.LIST_IMPORT)
    return IntakeMapping.objects.filter(unit=by.unit_id, kind=kind, head__in=heads).delete()[0]


def process(file_id: int, *, by: Post | None = None, between: Callable[[int], None] | None = None) -> IntakeFile:
    """Read, check and commit a file. Goes on where an earlier run stopped; a finished file is left as it is.

    `between` is called after each batch with the bytes of this file, outside any transaction: smaller files need not wait for it.

    A file that cannot be read ends as `refused` with the sentence; a row that cannot be taken is one rejected row.
    `by`: who may see the file; the worker, which sees all, leaves it out. Rows are committed in the sender's name.
    """
    with _held(file_id):
        return _process(file_id, by, between)


def lock_of(file: str) -> str:
    """The key, in SQL, of the advisory lock of a file (`file`: SQL for its id)."""
    return f"hashtextextended('intake.file:' || {file}, 0)"


@contextmanager
def _held(file_id: int) -> Iterator[None]:
    """While this process is at the file, or until it is killed: then the worker goes on with it at once."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_try_advisory_lock({lock_of('%s')})", [file_id])
        (is_ours,) = cursor.fetchone()
    try:
        yield
    finally:
        # With the connection the lock is gone, and a new one does not hold it.
        if is_ours and connection.connection is not None and not connection.connection.closed:
            with suppress(OperationalError, InterfaceError), connection.cursor() as cursor:
                cursor.execute(f"SELECT pg_advisory_unlock({lock_of('%s')})", [file_id])


def _process(file_id: int, by: Post | None, between: Callable[[int], None] | None) -> IntakeFile:
    with scope.acting(scope.of(by) if by else None), transaction.atomic():
        file = IntakeFile.objects.get(id=file_id)
        sender = Post.objects.select_related("unit").get(id=file.post)
    if file.state in ("done", "refused"):
        return file
    kind = registry.kind(file.kind)
    with scope.acting(scope.of(sender)):
        try:
            with transaction.atomic():
                rows, mapping, warnings = _checked(file, kind)
        except Refused as refused:
            _set(file, state="refused", refusal=refused.as_json(), done_at=clock.now())
            return file
        if not _begin(file, mapping=mapping, warnings=warnings, n_rows=len(rows)):
            return file
        for start in range(file.n_read, len(rows), BATCH_ROWS):
            answer = _committed(sender, file, kind, rows.slice(start, BATCH_ROWS))
            if isinstance(answer, Refused):
                _set(file, state="refused", refusal=answer.as_json(), done_at=clock.now())
                return file
            if not answer:
                return _done_by_another(file)
            if between is not None:
                between(file.size)
        finish(by=sender, file=file)
    return file


def _begin(file: IntakeFile, **values) -> bool:
    """Take the file up where its batches stand; False when another process has ended it meanwhile.

    `n_read` is only read here: each batch moves it in its own transaction, and a second reader of the same file may be at work.
    """
    with transaction.atomic():
        now = IntakeFile.objects.select_for_update().get(id=file.id)
        if now.state not in ("done", "refused"):
            now_real = clock.real_now()
            _set(now, state="working", beat_at=now_real, begun_at=now_real, begun_row=now.n_read, **values)
    file.__dict__.update({name: value for name, value in now.__dict__.items() if name != "_state"})
    return now.state == "working"


def _done_by_another(file: IntakeFile) -> IntakeFile:
    """Another process took the file while this one was silent: wait for its accounts, or for its silence."""
    while True:
        with transaction.atomic():
            file.refresh_from_db()
        if file.state in ("done", "refused") or file.beat_at is None or clock.real_now() - file.beat_at > SILENCE:
            return file
        time.sleep(0.2)


def _committed(sender: Post, file: IntakeFile, kind: registry.ListKind, rows: pl.DataFrame) -> int | Refused:
    """`commit_batch`; a batch with a row that the database or a module cannot take is halved until that row stands alone, refused
    as `row_failed`. The others are not held up by it: one bad row among 2,000 costs two dozen small transactions."""
    try:
        return commit_batch(by=sender, file=file, kind=kind, rows=rows)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the rows are not at fault
    except Exception as error:
        log.warning("file %s: rows from %s failed (%s)", file.id, rows["no"][0], type(error).__name__)
        if len(rows) == 1:
            failed = pl.lit(["row_failed"], pl.List(pl.String))
            cells = pl.lit([""], pl.List(pl.String))
            return commit_batch(
                by=sender, file=file, kind=kind, rows=rows.with_columns(reason=pl.lit("row_failed"), reasons=failed, cells=cells)
            )
        half = len(rows) // 2
        done = 0
        for part in (rows.slice(0, half), rows.slice(half)):
            answer = _committed(sender, file, kind, part)
            if isinstance(answer, Refused) or not answer:
                return answer
            done += answer
        return done


@transaction.atomic
def failed(file_id: int) -> None:
    """The processing of a file raised, and not for want of the database: after three times it is refused and no longer tried."""
    file = IntakeFile.objects.select_for_update().get(id=file_id)
    if file.state == "working":
        file.failures = file.failures + 1 if file.n_read == file.begun_row else 1
        if file.failures >= FAILURES_MAX:
            file.state, file.done_at, file.refusal = "refused", clock.now(), refusals.failed(file.name).as_json()
        file.save(update_fields=["failures", "state", "done_at", "refusal"])


def choices(file: IntakeFile) -> dict[str, columns.Choice]:
    """What the officer said of this file's heads; else what the unit said of such heads before."""
    if file.forced is not None:
        return {head: columns.Choice(fields, "forced") for head, fields in file.forced.items()}
    known = IntakeMapping.objects.filter(unit=file.unit, kind=file.kind).values_list("head", "fields")
    return {head: columns.Choice(fields, "remembered") for head, fields in known}


def _checked(file: IntakeFile, kind: registry.ListKind):
    parser.start()  # it starts while the file is opened
    resolver = resolver_of(file.event)
    tables = parser.read(original(file), file.name, anyway=True)
    mapped = columns.map_tables(tables, choices(file))
    if kind.suits is not None and file.forced is None:
        kind.suits(mapped)
    tables, mappings = [table for table, _ in mapped], [mapping for _, mapping in mapped]
    checked = check.check(tables, mappings, file.source, clock.now(), resolver)
    rows = checked.frame.with_row_index("no", offset=1)
    shown = [mapping.as_json(table) for table, mapping in mapped]
    noticed = rows.select("sheet", "row", "warnings").filter(pl.col("warnings").list.len() > 0).head(WARNINGS_KEPT)
    warnings = [{"sheet": s, "row": r, "codes": list(w)} for s, r, w in noticed.iter_rows()]
    return rows, shown, [*({"note": note} for note in [*checked.notes, *_left_out(checked.left_out)]), *warnings]


def _left_out(lines: list[tuple[str, int, str]]) -> list[str]:
    """Notes of the lines that were taken for an example, a footer or a remark, so that a person among them is seen."""
    told: dict[tuple[str, str], list[int]] = {}
    for sheet, row, what in lines:
        if what in ("example", "footer", "note"):
            told.setdefault((what, sheet), []).append(row)
    return [
        f"left_{what}:{sheet}{'!' if sheet else ''}{'、'.join(map(str, rows[:LINES_TOLD]))}{'…' if len(rows) > LINES_TOLD else ''}"
        for (what, sheet), rows in told.items()
    ]


def _set(file: IntakeFile, **values) -> None:
    for name, value in values.items():
        setattr(file, name, value)
    with transaction.atomic():
        file.save(update_fields=list(values))


@action
def commit_batch(*, by, file: IntakeFile, kind: registry.ListKind, rows: pl.DataFrame) -> int:
    """One batch: the module takes the good rows, and each row's outcome is written in the same transaction.

    Returns the rows committed; 0 when another process has committed this batch.
    """
    require(by, Permission.LIST_IMPORT)
    start = rows["no"][0] - 1
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE intake_file SET n_read = %s, beat_at = %s WHERE id = %s AND n_read = %s",
            (start + len(rows), clock.real_now(), file.id, start),
        )
        if cursor.rowcount == 0:
            return 0
    good = rows.filter(pl.col("reason").is_null())
    bad = rows.filter(pl.col("reason").is_not_null())
    taken = pl.DataFrame(schema={"no": pl.UInt32, "outcome": pl.String, "subject": pl.String})
    if not good.is_empty():
        taken = kind.take(by=by, event=file.event, source=file.source, file=file.id, act=file.act, rows=good)
    outcome = pl.concat(
        [
            taken.select(pl.col("no").cast(pl.UInt32), "outcome", "subject"),
            bad.select("no", outcome=pl.lit("rejected"), subject=pl.lit(None, pl.String)),
        ]
    )
    written = rows.select("no", "sheet", "row", "reasons", "cells", reason=pl.col("reason").fill_null("")).join(
        outcome, on="no", how="left"
    )
    written = written.with_columns(file=pl.lit(file.id))
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE staged_row (file bigint, sheet text, row int, no int, outcome text, reason text,"
            " reasons text[], cells text[], subject uuid) ON COMMIT DROP"
        )
        names = ["file", "sheet", "row", "no", "outcome", "reason", "reasons", "cells", "subject"]
        copy_frame(cursor, "pg_temp.staged_row", written.select(names))
        listed = ", ".join(f'"{n}"' for n in names)
        cursor.execute(f"INSERT INTO intake_row ({listed}) SELECT {listed} FROM pg_temp.staged_row")
        cursor.execute("DROP TABLE pg_temp.staged_row")
    return len(rows)


@action
def finish(*, by, file: IntakeFile) -> None:
    """Close the file's accounts: five counts that add up to its rows (the database refuses anything else)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT outcome, reason, count(*) FROM intake_row WHERE file = %s GROUP BY 1, 2", (file.id,))
        found = cursor.fetchall()
    counts, reasons = Counter(), Counter()
    for outcome, reason, n in found:
        counts[outcome] += n
        if outcome == "rejected":
            reasons[reason] += n
    for name in OUTCOMES:
        setattr(file, name, counts[name])
    file.reasons, file.state, file.n_read, file.done_at = dict(reasons), "done", file.n_rows, clock.now()
    file.save(update_fields=[*OUTCOMES, "reasons", "state", "n_read", "done_at"])
