"""What of a person a role reads: one table, one function, for every page.

Row-level security decides who is seen at all; this decides how much of whom. `OWN`: whole where the reader's own unit
holds an open duty about the person, masked elsewhere. Whatever is masked may be read whole for a stated purpose
(`actions.unmask`) by roles that have that permission; `NOTHING` is not offered at all.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from bihuan.access.permissions import Role
from bihuan.kernel.text import mask_document, mask_name, mask_phone


class Field(StrEnum):
    NAME = "name"
    DOCUMENT = "document"
    PHONE = "phone"
    ADDRESS = "address"
    MEDICAL = "medical"  # what a test found, beside a name


class Shown(StrEnum):
    NOTHING = "nothing"
    MASKED = "masked"
    OWN = "own"
    WHOLE = "whole"


_M, _O, _W, _N = Shown.MASKED, Shown.OWN, Shown.WHOLE, Shown.NOTHING

# Own choice, from who must ring, visit or decide: a village rings and visits its own; desks above assign and decide by
# masked lines; what a test found stands beside a name at the county's and the city's desks only.
TABLE: dict[Role, dict[Field, Shown]] = {
    Role.CITY_DESK: {Field.NAME: _M, Field.DOCUMENT: _M, Field.PHONE: _O, Field.ADDRESS: _M, Field.MEDICAL: _W},
    Role.COUNTY_DESK: {Field.NAME: _M, Field.DOCUMENT: _M, Field.PHONE: _O, Field.ADDRESS: _M, Field.MEDICAL: _W},
    Role.TOWNSHIP_DESK: {Field.NAME: _M, Field.DOCUMENT: _M, Field.PHONE: _O, Field.ADDRESS: _M, Field.MEDICAL: _N},
    Role.VILLAGE_WORKER: {Field.NAME: _M, Field.DOCUMENT: _M, Field.PHONE: _O, Field.ADDRESS: _O, Field.MEDICAL: _N},
}


def shown(role: Role | str, field: Field, *, own: bool = False) -> Shown:
    """NOTHING, MASKED or WHOLE; NOTHING for a role without a line. `own`: the reader's unit holds an open duty about the person."""
    found = TABLE.get(Role(role), {}).get(field, Shown.NOTHING)
    return (Shown.WHOLE if own else Shown.MASKED) if found is Shown.OWN else found


def show(text: str, role: Role | str, field: Field, *, own: bool = False) -> str:
    """`text` as this role reads it; the empty text where it reads nothing, or nothing is known."""
    how = shown(role, field, own=own)
    if not text or how is Shown.NOTHING:
        return ""
    return text if how is Shown.WHOLE else _MASKS[field](text)


def line_of(person: Any, role: Role | str) -> tuple[str, str]:
    """How a line names a person (`queries.Whole`, or None): (masked text, "person"), or (masked number, "phone_lead")
    where only a phone is known. A dash where nothing may be read."""
    if person is None:
        return "—", "person"
    if person.name:
        return show(person.name, role, Field.NAME) or "—", "person"
    if person.docs:
        return show(person.docs[0], role, Field.DOCUMENT) or "—", "person"
    return (show(person.phones[0], role, Field.PHONE) if person.phones else "") or "—", "phone_lead"


def mask_address(address: str) -> str:
    """The beginning of an address (province, city, county); the door is left out."""
    return address[:6] + "…" if len(address) > 6 else "…"


_MASKS = {
    Field.NAME: mask_name,
    Field.DOCUMENT: mask_document,
    Field.PHONE: mask_phone,
    Field.ADDRESS: mask_address,
    Field.MEDICAL: lambda text: "",
}
