"""The installation's keys, and the data key of an event."""

from __future__ import annotations

import functools
import hmac
import os
from pathlib import Path

from django.conf import settings
from django.db import connection

from bihuan.access.door import engine
from bihuan.kernel import clock
from bihuan.kernel.crypto import Keys
from bihuan.kernel.refused import Refused
from bihuan.ledger.destruction import is_destroyed

PERSONS = "person"  # class of data: documents, phones, addresses of persons


@functools.lru_cache(maxsize=4)
def _read(path: str) -> Keys:
    return Keys.from_file(Path(path))


def installation() -> Keys:
    """The keys derived from the master key file. PermissionError when others can read the file."""
    return _read(str(settings.MASTER_KEY_FILE))


def data_key(event: int, class_name: str = PERSONS) -> bytes | None:
    """The key under which an event's data of a class are sealed; None when there is none (not yet made, or destroyed).

    A key that was destroyed stays so: a backup brings its wrapped value back, but its number stands in `destroyed_file`.
    """
    with connection.cursor() as cursor:
        cursor.execute('SELECT wrapped FROM event_key WHERE event = %s AND "class" = %s', [event, class_name])
        row = cursor.fetchone()
    if row is None:
        return None
    key = installation().unwrap(bytes(row[0]), _label(event, class_name))
    return None if number_of(key) in destroyed() else key


def ensure_data_key(event: int, class_name: str = PERSONS) -> bytes:
    """As `data_key`, made when missing. Inside a transaction; writes as the engine. Refuses an event whose keys were destroyed."""
    key = data_key(event, class_name)
    if key is not None:
        return key
    if is_destroyed(event) or _row_of(event, class_name):
        raise gone(event)
    wrapped = installation().wrap(os.urandom(32), _label(event, class_name))
    with engine(), connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO event_key (event, "class", wrapped) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING', [event, class_name, wrapped]
        )
    made = data_key(event, class_name)
    assert made is not None  # ours, or the one that another transaction made first
    return made


def gone(event: int) -> Refused:
    """The refusal of whatever needs a key that was destroyed."""
    return Refused(
        "event_destroyed",
        "这个事件的个人信息已经销毁，不能再看，也不能再登记。",
        "The personal data of this event were destroyed: nothing can be read or added.",
        str(event),
    )


# --- destruction ------------------------------------------------------------------------------------------------------


def destroyed_file() -> Path:
    """Numbers of keys that were destroyed, beside the master key: it has to be kept and copied with it."""
    return Path(settings.MASTER_KEY_FILE).with_name("destroyed.keys")


def number_of(key: bytes) -> str:
    """Names a data key without telling it."""
    return hmac.digest(installation().derive("number of a data key"), key, "sha256").hex()[:32]


def destroyed() -> frozenset[str]:
    path = destroyed_file()
    try:
        state = path.stat()
    except FileNotFoundError:
        return frozenset()
    return _numbers(str(path), state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=4)
def _numbers(path: str, _changed: int, _size: int) -> frozenset[str]:
    lines = Path(path).read_text("utf-8").splitlines()
    return frozenset(line.split()[0] for line in lines if line.strip() and not line.startswith("#"))


def forget(event: int, ending: str) -> dict[str, int]:
    """Destroy an event's keys: first their numbers on the disk beside the master key, then their rows. Safe to repeat.

    As the tables' owner. From the first line on no backup of the database can make them usable again.
    """
    with connection.cursor() as cursor:
        cursor.execute('SELECT "class", wrapped FROM event_key WHERE event = %s ORDER BY 1', [event])
        rows = cursor.fetchall()
    known = destroyed()
    lines = []
    for class_name, wrapped in rows:
        number = number_of(installation().unwrap(bytes(wrapped), _label(event, class_name)))
        if number not in known:
            lines.append(f"{number} {event} {class_name} {clock.real_now().isoformat(timespec='seconds')} {ending}\n")
    path = destroyed_file()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "w") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM event_key WHERE event = %s", [event])
    return {"event_key": len(rows)}


def brought_back() -> list[int]:
    """Events whose destroyed keys stand in this database again: it was restored from an older backup."""
    with connection.cursor() as cursor:
        cursor.execute('SELECT event, "class" FROM event_key ORDER BY 1, 2')
        return sorted({event for event, class_name in cursor.fetchall() if data_key(event, class_name) is None})


def _row_of(event: int, class_name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute('SELECT 1 FROM event_key WHERE event = %s AND "class" = %s', [event, class_name])
        return cursor.fetchone() is not None


def _label(event: int, class_name: str) -> str:
    return f"event/{event}/{class_name}"
