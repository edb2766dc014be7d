"""Files of strangers are parsed in a process of its own, which has no keys, no database and little time.

`read` and `mark` do what `read.read_file` and `workbook.marked_copy` do, in one long-lived child of this process. The child
gets its limits before it sees the first byte of a file: address space, processor time, size of files, no core dumps. When it
passes one it dies, the file is refused (`file_too_costly`), and the next file gets a new child. What it answers is JSON and
Arrow, never pickled objects: a parser that a hostile file took over must not take over the process that asked.

The child starts with the first call (`start` begins that early) and ends with the process that asked, when its input closes.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import logging
import os
import resource
import selectors
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from bihuan.intake import refusals
from bihuan.intake.columns import Column
from bihuan.intake.read import Table, read_file
from bihuan.kernel.refused import Refused

log = logging.getLogger("bihuan.intake")

# A hostile file is refused within five seconds and half a gigabyte, a child at rest included (60 to 100 MB).
CPU_SECONDS = 4
MEMORY_BYTES = 400 * 2**20
# A legal file may cost what it is worth. Measured: a sheet of full height and seven columns takes 14 s and 0.9 GB; text takes
# four to six times its bytes, and a second for 30 MB.
CPU_SECONDS_A_MILLION_CELLS = 6
MEMORY_BYTES_A_CELL = 130
CPU_SECONDS_A_MEGABYTE = 0.2
MEMORY_BYTES_A_BYTE = 8
FILE_BYTES_MAX = 2**30  # of temporary files, which writers of workbooks use
WALL_FACTOR = 8  # on a busy machine a second of processor time takes this long before something must be wrong
RESTING_BYTES_MAX = 300 * 2**20  # a child that grew larger is not kept
_OPEN_FILES_MAX = 64
_LENGTH = struct.Struct("<Q")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def read(data: bytes, name: str, *, anyway: bool = False) -> list[Table]:
    """`read.read_file` of bytes, in the child. Refuses what that refuses, `file_too_costly` and `file_unreadable`."""
    answer, blobs = _child.ask({"do": "read", "name": name, "anyway": anyway}, data)
    return [_table(described, pl.read_ipc(io.BytesIO(blob))) for described, blob in zip(answer["tables"], blobs, strict=True)]


def mark(data: bytes, name: str, rejects: Sequence[tuple], *, language: str = "zh", only_refused: bool = False) -> bytes:
    """`workbook.marked_copy`, in the child."""
    asked = {"do": "mark", "name": name, "rejects": list(rejects), "language": language, "only_refused": only_refused}
    return _child.ask(asked, data)[1][0]


def start() -> None:
    """Begin to start the child, so that it is there when the file is."""
    _child.start()


# --- the side that asks ---------------------------------------------------------------------------------------------


class _Child:
    """One child, one file at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process: subprocess.Popen | None = None
        self.owner = 0

    def start(self) -> None:
        with self.lock:
            self._ensure()

    def _ensure(self) -> subprocess.Popen:
        if self.process is not None and (self.owner != os.getpid() or self.process.poll() is not None):
            self.end()
        if self.process is None:
            source = Path(__file__).resolve().parents[2]
            environment = {"PYTHONPATH": str(source), "PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"}
            environment |= {"POLARS_MAX_THREADS": "2", "MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "1"}
            if os.access("/dev/shm", os.W_OK):  # lists of persons do not go to a disk unsealed
                environment["TMPDIR"] = "/dev/shm"
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bihuan.intake.parser"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
            )
            self.owner = os.getpid()
        return self.process

    def ask(self, question: dict[str, Any], data: bytes) -> tuple[dict[str, Any], list[bytes]]:
        with self.lock:
            process = self._ensure()
            try:
                answer, blobs = self._exchange(process, question, data)
            except (_Ended, BrokenPipeError):
                code = self.end(kill=True)
                log.warning("the parser of files ended (%s) at a file of %d bytes", code, len(data))
                raise refusals.too_costly(question["name"]) from None
            except BaseException:  # it may be half way through an answer
                self.end(kill=True)
                raise
            if answer.get("ends"):
                self.end()
        if answer.get("refused"):
            raise Refused(**answer["refused"])
        if answer.get("failed"):
            log.error("the parser of files failed: %s", answer["failed"])
            raise refusals.unreadable(question["name"])
        return answer, blobs

    def _exchange(self, process: subprocess.Popen, question: dict[str, Any], data: bytes) -> tuple[dict[str, Any], list[bytes]]:
        until = time.monotonic() + WALL_FACTOR * (_cpu_seconds(len(data)) + 12 * CPU_SECONDS_A_MILLION_CELLS)
        asked = json.dumps(question).encode()
        _send(process, [_LENGTH.pack(len(asked)), asked, _LENGTH.pack(len(data)), data], until)
        answer = json.loads(_receive(process, until))
        return answer, [_receive(process, until) for _ in range(answer.get("blobs", 0))]

    def end(self, *, kill: bool = False) -> int | None:
        """Stop the child; its exit code."""
        process, self.process = self.process, None
        if process is None or self.owner != os.getpid():
            return None
        if kill:
            process.kill()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            code = process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        process.stdout.close()
        return code


class _Ended(Exception):
    """The child is gone, or silent for too long."""


def _send(process: subprocess.Popen, parts: list[bytes], until: float) -> None:
    with selectors.DefaultSelector() as waiting:
        descriptor = process.stdin.fileno()
        os.set_blocking(descriptor, False)
        waiting.register(descriptor, selectors.EVENT_WRITE)
        for part in parts:
            left = memoryview(part)
            while left:
                if not waiting.select(max(0.0, until - time.monotonic())):
                    raise _Ended
                left = left[os.write(descriptor, left[: 2**20]) :]


def _receive(process: subprocess.Popen, until: float) -> bytes:
    size = _LENGTH.unpack(_receive_exactly(process, _LENGTH.size, until))[0]
    return _receive_exactly(process, size, until)


def _receive_exactly(process: subprocess.Popen, size: int, until: float) -> bytes:
    found = bytearray()
    with selectors.DefaultSelector() as waiting:
        descriptor = process.stdout.fileno()
        waiting.register(descriptor, selectors.EVENT_READ)
        while len(found) < size:
            if not waiting.select(max(0.0, until - time.monotonic())):
                raise _Ended
            block = os.read(descriptor, min(2**20, size - len(found)))
            if not block:
                raise _Ended
            found += block
    return bytes(found)


_child = _Child()
atexit.register(_child.end)


def _cpu_seconds(size: int) -> float:
    return CPU_SECONDS + CPU_SECONDS_A_MEGABYTE * size / 2**20


# --- tables as JSON and Arrow ---------------------------------------------------------------------------------------


def _described(table: Table) -> dict[str, Any]:
    return {
        "sheet": table.sheet,
        "header_row": table.header_row,
        "columns": [[c.index, c.header, c.address] for c in table.columns],
        "hidden_rows": sorted(table.hidden_rows),
        "formulas": sorted(table.formulas),
        "overflow": table.overflow,
        "several": table.several,
        "date_1904": table.date_1904,
        "month_first": table.month_first,
        "recognised": table.recognised,
        "relay": table.relay,
        "notes": list(table.notes),
    }


def _table(of: dict[str, Any], frame: pl.DataFrame) -> Table:
    return Table(
        **of
        | {
            "columns": tuple(Column(*c) for c in of["columns"]),
            "hidden_rows": frozenset(of["hidden_rows"]),
            "formulas": frozenset(of["formulas"]),
            "notes": tuple(of["notes"]),
        },
        frame=frame,
    )


# --- the child ------------------------------------------------------------------------------------------------------


def _statm() -> tuple[int, int]:
    """(address space, resident) in bytes."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[0]) * _PAGE, int(fields[1]) * _PAGE


class _Limits:
    """What a file may cost; counted from a child at rest."""

    def __init__(self, size: int) -> None:
        self.size, self.at_rest = size, _statm()[0]
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self.used = usage.ru_utime + usage.ru_stime
        self.allow(0)

    def allow(self, cells: int) -> None:
        """A workbook that was counted may cost what its cells are worth; before that, what its bytes are."""
        memory = self.at_rest + MEMORY_BYTES + MEMORY_BYTES_A_BYTE * self.size + MEMORY_BYTES_A_CELL * cells
        seconds = self.used + _cpu_seconds(self.size) + CPU_SECONDS_A_MILLION_CELLS * cells / 1e6
        resource.setrlimit(resource.RLIMIT_AS, (memory, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, resource.RLIM_INFINITY))


def _answer(question: dict[str, Any], data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    limits = _Limits(len(data))
    if question["do"] == "read":
        tables = read_file(data, question["name"], limits.allow, anyway=question["anyway"])
        blobs = []
        for table in tables:
            out = io.BytesIO()
            table.frame.write_ipc(out)
            blobs.append(out.getvalue())
        return {"tables": [_described(t) for t in tables]}, blobs
    from bihuan.intake.workbook import marked_copy

    rejects = [tuple(r) for r in question["rejects"]]
    marked = marked_copy(
        data,
        question["name"],
        rejects,
        language=question["language"],
        only_refused=question["only_refused"],
        counted=limits.allow,
    )
    return {}, [marked]


def _serve(incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """Answer until the input closes."""
    while size := incoming.read(_LENGTH.size):
        question = json.loads(incoming.read(_LENGTH.unpack(size)[0]))
        data = incoming.read(_LENGTH.unpack(incoming.read(_LENGTH.size))[0])
        blobs: list[bytes] = []
        try:
            answer, blobs = _answer(question, data)
        except Refused as refused:
            answer = {"refused": refused.as_json()}
        except MemoryError:
            answer = {"refused": refusals.too_costly(question["name"]).as_json(), "ends": True}
        except Exception as error:  # a file that nobody thought of: the place is told, never what the file says
            at = traceback.extract_tb(error.__traceback__)[-1]
            answer = {"failed": f"{type(error).__name__} at {Path(at.filename).name}:{at.lineno}"}
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        del data
        answer["blobs"] = len(blobs)
        answer["ends"] = answer.get("ends") or _statm()[1] > RESTING_BYTES_MAX
        head = json.dumps(answer).encode()
        for part in (head, *blobs):
            outgoing.write(_LENGTH.pack(len(part)))
            outgoing.write(part)
        outgoing.flush()
        if answer["ends"]:
            return


def _main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES_MAX, FILE_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES_MAX, _OPEN_FILES_MAX))
    incoming, outgoing = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    # The libraries' threads and tables are there before the first limit is counted from them.
    read_file("姓名,手机号,到达时间\n王,13800000000,8.27\n".encode(), "warm.csv")[0].frame.write_ipc(io.BytesIO())
    _serve(incoming, outgoing)


if __name__ == "__main__":
    _main()
