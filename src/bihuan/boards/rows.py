"""Names of those who do not reconcile, as pages show them."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from bihuan.identity import masks
from bihuan.identity import queries as people


def gaps(found: list[dict[str, Any]], post: Any) -> list[dict[str, Any]]:
    opened: dict[Any, Any] = {}
    for event in sorted({f["event"] for f in found}):
        opened |= people.opened_persons([f["subject"] for f in found], event=event)
    return [
        {"name": masks.line_of(opened.get(f["subject"]), post.role)[0], "why": _("有线索，没有人核查"), "url": f"/leads/{f['lead']}"}
        for f in found
    ]
