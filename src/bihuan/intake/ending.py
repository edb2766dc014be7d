"""What goes of files at the end of an event: the files as they came, and what became of each row. Their hashes stay on the certificate."""

from __future__ import annotations

import hashlib

from bihuan.intake.models import IntakeFile
from bihuan.ledger.destruction import Part, Rows, register


def hashes(event: int) -> dict[str, str]:
    """One hash over the files' own, in the order in which they came: whoever kept a list can show that it was among them."""
    found = hashlib.sha256()
    files = IntakeFile.objects.filter(event=event).order_by("id").values_list("sha256", flat=True)
    for sha256 in files:
        found.update(bytes(sha256))
    return {"files": found.hexdigest(), "n_files": str(len(files))}


register(
    Part(
        "intake",
        order=200,
        hashes=hashes,
        rows=(Rows("intake_row", "t.file IN (SELECT f.id FROM intake_file f WHERE f.event = %(event)s)"), Rows("intake_file")),
    )
)
