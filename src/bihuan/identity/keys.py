"""The installation's keys, and the data key of an event."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from django.conf import settings
from django.db import connection

from bihuan.access.door import engine
from bihuan.kernel.crypto import Keys

PERSONS = "person"  # class of data: documents, phones, addresses of persons


@functools.lru_cache(maxsize=4)
def _read(path: str) -> Keys:
    return Keys.from_file(Path(path))


def installation() -> Keys:
    """The keys derived from the master key file. PermissionError when others can read the file."""
    return _read(str(settings.MASTER_KEY_FILE))


def data_key(event: int, class_name: str = PERSONS) -> bytes | None:
    """The key under which an event's data of a class are sealed; None when there is none (not yet made, or destroyed)."""
    with connection.cursor() as cursor:
        cursor.execute('SELECT wrapped FROM event_key WHERE event = %s AND "class" = %s', [event, class_name])
        row = cursor.fetchone()
    return installation().unwrap(bytes(row[0]), _label(event, class_name)) if row else None


def ensure_data_key(event: int, class_name: str = PERSONS) -> bytes:
    """As `data_key`, made when missing. Inside a transaction; writes as the engine."""
    key = data_key(event, class_name)
    if key is not None:
        return key
    wrapped = installation().wrap(os.urandom(32), _label(event, class_name))
    with engine(), connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO event_key (event, "class", wrapped) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING', [event, class_name, wrapped]
        )
    made = data_key(event, class_name)
    assert made is not None  # ours, or the one that another transaction made first
    return made


def _label(event: int, class_name: str) -> str:
    return f"event/{event}/{class_name}"
