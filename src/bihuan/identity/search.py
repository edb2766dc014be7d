"""One box: what somebody typed, and the aliases that it may mean.

A name is found by its beginning, or by the given name alone; by its pinyin or its initials when Latin letters were typed. A
phone or a document is found whole only, because their indexes are blind. Row-level security decides who is in sight.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from bihuan.identity import keys
from bihuan.identity.evidence import alias_of
from bihuan.kernel.text import clean, name_key

TYPED_MAX = 50  # signs of what was typed that are read
FOUND_MAX = 400  # aliases that one search takes up, before they are persons

_MOBILE = re.compile(r"^(?:\+?86|0086)?(1[3-9]\d{9})$")
_LANDLINE = re.compile(r"^(0\d{2,3})-?(\d{7,8})$")
_FOREIGN_PHONE = re.compile(r"^\+\d{7,15}$")
# Resident IDs, permits and passports by their shape, as lists have them; at least seven signs, four of them digits.
_DOCUMENT = re.compile(r"^(?=(?:.*\d){4})(?:[1-9]\d{16}[\dX]|[A-Z]{1,3}[A-Z0-9]{6,12}|\d{8}[A-Z]?|\d{0,2}[A-Z][A-Z0-9]{6,8})$")
_LATIN = re.compile(r"^[A-Za-z]+$")
# Runs of digits that are too long for a name and too short for a number: nothing is guessed from a part of a number.
_DIGITS = re.compile(r"\d{4,}")


@dataclasses.dataclass(frozen=True)
class Sought:
    """What was typed, as it may be looked up. Empty fields do not apply; `whole`: a whole phone or document."""

    name_key: str = ""
    latin: str = ""
    phone: str = ""
    document: str = ""

    @property
    def whole(self) -> bool:
        return bool(self.phone or self.document)

    @property
    def nothing(self) -> bool:
        return not (self.name_key or self.latin or self.whole)


def sought(typed: str) -> Sought:
    """Read what was typed. Digits that are no whole number mean nothing: a number is never found by a part of it."""
    text = clean(typed)[:TYPED_MAX]
    bare = re.sub(r"[\s()]", "", text)
    compact = bare.replace("-", "").upper()
    mobile, landline = _MOBILE.match(compact), _LANDLINE.match(bare)
    phone = mobile[1] if mobile else f"{landline[1]}-{landline[2]}" if landline else compact if _FOREIGN_PHONE.match(compact) else ""
    document = compact if _DOCUMENT.match(compact) and not mobile else ""
    if phone or document:
        return Sought(phone=phone, document=document)
    if _DIGITS.search(compact):
        return Sought()
    latin = re.sub(r"[\s'.-]", "", text)
    return Sought(name_key(text), latin.lower() if _LATIN.match(latin) else "")


# Everything that begins with the word: no sign of Unicode comes after U+10FFFF.
_BEGINS = (
    "(SELECT subject FROM person WHERE {column} ~>=~ %({word})s AND {column} ~<~ (%({word})s || U&'\\+10FFFF') AND {column} <> ''"
    f" LIMIT {FOUND_MAX})"
)


def found_sql(what: Sought, *, anywhere: bool = True) -> tuple[str, dict[str, Any]]:
    """Statement (one column, `subject`) and parameters for the aliases meant.

    `anywhere`: what was typed is the given name, or its beginning, without the surname; else the name's beginning.
    """
    if what.whole:
        parts, given = [], {}
        if what.phone:
            parts.append("SELECT subject FROM holding WHERE phone_idx = %(phone)s")
            given["phone"] = keys.installation().index("phone", what.phone)
        if what.document:
            parts.append("SELECT id AS subject FROM subject WHERE id = %(document)s")
            given["document"] = alias_of(keys.installation(), doc=what.document)
        return " UNION ".join(parts), given
    if what.nothing:
        return "SELECT NULL::uuid AS subject WHERE false", {}
    # Written as ranges, because row-level security lets an index be used only by what cannot leak: LIKE may, these may not.
    # Each part is bounded by itself, so that one letter does not take up half a city.
    parts, given = [_BEGINS.format(column="given" if anywhere else "name_key", word="name")], {"name": what.name_key}
    if what.latin:
        parts += [_BEGINS.format(column=column, word="latin") for column in ("initials", "pinyin")]
        given["latin"] = what.latin
    return " UNION ".join(parts), given
