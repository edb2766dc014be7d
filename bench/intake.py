"""A list of a million rows: read, checked, deduplicated and staged, against a bare COPY of the same file.

1.0 is COPY of the file, as it lies there, into a logged table without an index. Ours reads the file, checks each row,
keeps every refused row with all its reasons and cells, marks what each row says, leaves out what the list says twice
and what the database knows already, and stages the rest by COPY. Then the same rows come again in another order and
must change nothing.

Who the persons are (linked, encrypted, indexed) is measured on a part of the rows against the framework's way
(`persons.py`); what becomes of them (leads, duties, accounts) is measured beside it.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import psycopg

from bench import made_up, persons
from bench.harness import Report, Sizes, quiet
from bench.server import superuser

ROWS, ROUNDS = 1_000_000, 3
PARTS = 6  # in which a list is marked and staged
PART = 20_000  # rows on which identity, linking and leads are measured

_TABLES = """
DROP TABLE IF EXISTS bench_bare, bench_staged, bench_refused, bench_known;
CREATE TABLE bench_bare (name text, doc text, phone text, origin text, arrived_at text, batch text);
-- Rows on their way: if the machine falls, the list is read again. Marks and refusals are what must stay. A time is
-- kept as the microseconds since 1970 (UTC) that it is in memory: to write it for people and to read that again is waste.
CREATE UNLOGGED TABLE bench_staged ("row" int, name text, doc text, doc_kind text, phone text, phone_kind text, origin text,
  origin_code bigint, arrived_us bigint, arrived_precision text, address text, district_code bigint, workplace text, remark text);
CREATE TABLE bench_refused ("row" int, reason text, reasons text[], cells text[]);
-- One value a batch: 64-bit marks side by side. As rows they would cost as much to read back as the list itself.
CREATE TABLE bench_known (marks bytea STORAGE EXTERNAL);
GRANT ALL ON bench_bare, bench_refused, bench_known TO bihuan_work;
ALTER TABLE bench_staged OWNER TO bihuan_work;
"""
_STAGED = [
    "row", "name", "doc", "doc_kind", "phone", "phone_kind", "origin", "origin_code", "arrived_us", "arrived_precision", "address",
    "district_code", "workplace", "remark",
]  # fmt: skip


def run(report: Report, sizes: Sizes) -> None:
    from bihuan.site import roles

    report.say(f"making a list of {sizes.rows:,} rows")
    made = made_up.make(sizes.rows)
    with tempfile.TemporaryDirectory(prefix="bihuan-bench-") as folder, superuser() as server:
        file, again = Path(folder) / "list.csv", Path(folder) / "again.csv"
        report.notes["bytes"] = made.write(file)
        made.shuffled(2).write(again)
        database = server.info.dbname
        with psycopg.connect(roles.dsn("work", database)) as work:
            _once(work, server, file, Report("warm"), made)  # libraries load, the file is in memory, for both sides
            for no in range(sizes.rounds):
                report.say(f"round {no + 1}")
                _round(report, work, server, (file, again), made, copy_first=no % 2 == 0)
        server.execute("DROP TABLE bench_bare, bench_staged, bench_refused, bench_known")
        report.say(f"persons and leads of {min(PART, sizes.rows):,} rows")
        _persons(report, server, min(PART, sizes.rows), sizes.rounds)
        _leads(report, min(PART, sizes.rows))


def _round(report: Report, work, server, files: tuple[Path, Path], made: made_up.MadeUp, *, copy_first: bool) -> None:
    server.execute(_TABLES)
    if copy_first:
        _copy(report, work, server, files[0])
    staged, refused = _once(work, server, files[0], report, made)
    if not copy_first:
        _copy(report, work, server, files[0])
    report.must("every row is accounted for", (staged, refused) == (made.distinct - made.bad, made.bad))
    staged, _ = _once(work, server, files[1], report, made, again="again ")
    report.must("the same rows again change nothing", staged == 0)
    copied = report.samples["COPY s"][-1]
    report.ratio("first_to_copy", report.samples["total s"][-1], copied)
    report.ratio("again_to_copy", report.samples["again total s"][-1], copied)


def _copy(report: Report, work, server, file: Path) -> None:
    """What the machine can do at all: the file's bytes into a table."""
    quiet(server)
    with report.timed("COPY s"), work.cursor() as cursor, file.open("rb") as data:
        with cursor.copy("COPY bench_bare FROM STDIN (FORMAT csv, HEADER)") as copy:
            while block := data.read(2**20):
                copy.write(block)
        work.commit()


def _once(work, server, file: Path, report: Report, made: made_up.MadeUp, again: str = "") -> tuple[int, int]:
    """One list from file to staging; returns rows staged and refused."""
    from bihuan.identity import keys
    from bihuan.intake.check import check
    from bihuan.intake.columns import map_columns
    from bihuan.intake.fingerprint import fingerprints
    from bihuan.intake.places import resolver_of
    from bihuan.intake.read import read_file
    from bihuan.kernel import clock
    from bihuan.loops.copy_frame import copy_frame
    from bihuan.site import demo

    if report.bench == "warm":
        server.execute(_TABLES)
    key, resolver = keys.installation().derive("report"), resolver_of(demo.event())
    quiet(server)
    at = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal at
        report.add(f"{again}{name} s", time.perf_counter() - at)
        at = time.perf_counter()

    with report.timed(f"{again}total s"), work.cursor() as cursor, ThreadPoolExecutor(1) as aside:
        at = time.perf_counter()
        coming = aside.submit(_known, cursor)  # the server looks them up while the file is read
        tables = read_file(file)
        mapping = map_columns(tables[0])
        lap("read")
        checked = check(tables, mapping, "data", clock.now(), resolver)
        lap("check")
        known = coming.result()
        lap("wait for known marks")
        # While the server takes in one part of the rows, the next is marked and compared. Where much is known, little is
        # staged, and one comparison is cheaper than several.
        n_staged, staging, height = 0, [], checked.frame.height
        marks = np.empty(height, dtype=np.int64)
        size = max(1, height if len(known) else -(-height // PARTS))
        for start in range(0, height, size):
            part = checked.frame.slice(start, size)
            marks[start : start + size] = fingerprints(part, key)
            new = part.get_column("reason").is_null() & pl.Series(marks[: start + size]).is_first_distinct().slice(start)
            if len(known):
                new &= ~pl.Series(marks).is_in(known.implode())
            n_staged += int(new.sum())
            staging.append(aside.submit(_stage, cursor, part, pl.Series("mark", marks[start : start + size]), new))
        refused = checked.rejected.select("row", "reason", "reasons", "cells")
        staging.append(aside.submit(copy_frame, cursor, "bench_refused", refused))
        lap("mark and compare")
        for done in staging:
            done.result()
        work.commit()
        lap("wait for staging")
    return n_staged, checked.rejected.height


def _stage(cursor: psycopg.Cursor, part: pl.DataFrame, marks: pl.Series, new: pl.Series) -> None:
    """The new rows of a part into the staging table, their marks among the known ones."""
    from bihuan.loops.copy_frame import copy_frame

    fresh = part.with_columns(pl.col("arrived_at").dt.epoch("us").alias("arrived_us")).select(*_STAGED, marks).filter(new)
    if fresh.is_empty():
        return
    copy_frame(cursor, "bench_staged", fresh.select(_varying(cursor, fresh)))
    _remember(cursor, fresh["mark"])


def _varying(cursor: psycopg.Cursor, fresh: pl.DataFrame) -> list[str]:
    """What is not the same in all rows. The rest is said once, as in `record_many`: what the list lacks, and what it always says."""
    varying = []
    for name in _STAGED:
        values = fresh.get_column(name)
        if values.eq_missing(values[0]).all():
            same = psycopg.sql.Literal(values[0]).as_string(cursor)
            cursor.execute(f"ALTER TABLE bench_staged ALTER COLUMN {name} SET DEFAULT {same}")
        else:
            varying.append(name)
    return varying


def _known(cursor: psycopg.Cursor) -> pl.Series:
    """The marks of all rows that came before."""
    cursor.execute("SELECT marks FROM bench_known", binary=True)
    return pl.Series(np.frombuffer(b"".join(marks for (marks,) in cursor.fetchall()), dtype=np.int64))


def _remember(cursor: psycopg.Cursor, marks: pl.Series) -> None:
    cursor.execute("INSERT INTO bench_known (marks) VALUES (%b)", (marks.to_numpy().tobytes(),))


def _checked_part(rows: int, seed: int) -> tuple[bytes, pl.DataFrame]:
    """Another list, and its accepted rows as intake hands them to a module."""
    from bihuan.intake.check import check
    from bihuan.intake.columns import map_columns
    from bihuan.intake.places import resolver_of
    from bihuan.intake.read import read_file
    from bihuan.kernel import clock
    from bihuan.site import demo

    data = (made_up.HEAD + "\n".join(made_up.make(rows, seed).lines) + "\n").encode()
    tables = read_file(data, "list.csv")
    return data, check(tables, map_columns(tables[0]), "data", clock.now(), resolver_of(demo.event())).accepted


def _persons(report: Report, server, rows: int, rounds: int) -> None:
    """Linked, encrypted, indexed: ours and the framework's way in turn; then the same persons once more, of whom all is known."""
    from bihuan.site import setup

    _, frame = _checked_part(rows, seed=3)
    whole = persons.mixed(frame)
    with setup.acting("app"):
        persons.compare(Report("warm"), server, persons.mixed(frame.head(400)), ours_first=True)
        for no in range(rounds):
            persons.compare(report, server, whole, ours_first=no % 2 == 1)  # the last ours, where rounds are even or one
        with report.timed("the same persons again s"):
            persons.ours(whole)
        report.add("the same persons again, rows a second", whole.height / report.samples["the same persons again s"][-1])


def _leads(report: Report, rows: int) -> None:
    """The whole import: kept encrypted, read, checked, persons, leads, duties, accounts; then the same file again."""
    from bihuan.access import queries as access
    from bihuan.intake import actions
    from bihuan.kernel import ids
    from bihuan.site import demo, setup

    data, _ = _checked_part(rows, seed=4)
    with setup.acting("app"):
        post = access.post_of(demo.CONSOLE)
        for name in ("import with leads and duties, rows a second", "the same list again, rows a second"):
            started = time.perf_counter()
            stored = actions.store(by=post, event=demo.event(), kind="leads", source="data", name="list.csv", data=data, act=ids.new_id())
            file = actions.process(stored.file, by=post)
            report.notes[name] = round(rows / (time.perf_counter() - started))
            accounts = (file.created, file.changed, file.unchanged, file.duplicate, file.rejected)
            report.must("the accounts of an import add up", file.state == "done" and sum(accounts) == rows)
        report.must("an import of the same list changes nothing", file.created == file.changed == 0)
