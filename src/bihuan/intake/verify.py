"""What must hold of files that came in: each opens, and is byte for byte what came."""

from __future__ import annotations

from bihuan.identity import keys
from bihuan.intake import actions
from bihuan.intake.models import IntakeFile
from bihuan.kernel.refused import Refused
from bihuan.ledger.gaps import GAPS_MAX, Found, Gap


def files_broken() -> Found:
    """A kept file that was damaged or exchanged: its encryption or its hash says so. One at a time in memory.

    Files of an event whose key was destroyed cannot be opened and are passed over. Worker's role.
    """
    gaps: list[Gap] = []
    n = 0
    key_of: dict[int, bytes | None] = {}
    for id, event in IntakeFile.objects.order_by("id").values_list("id", "event"):
        if event not in key_of:
            key_of[event] = keys.data_key(event, "files")
        if key_of[event] is None:
            continue
        n += 1
        try:
            actions.original(IntakeFile.objects.get(id=id))
        except Refused:
            what = f"file {id}"
            gaps.append(Gap("file_broken", what, f"名单文件 {id} 的原件被改动或损坏", f"file {id}: what is kept is not what came"))
        if len(gaps) >= GAPS_MAX:
            break
    return Found(n, gaps)
