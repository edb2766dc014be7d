"""Pairs that are perhaps one person: near names that agree in something else. They wait for an officer, never link.

A near name alone says nothing: a village of 3,000 has 200 people named 王, and names one character apart are families.
So a pair is asked about only when a second datum agrees, and nothing certain speaks against it:

| second datum | names |
|---|---|
| the same phone | sound alike; one character apart or left out; one letter off; parts in another order |
| the same phone | the same, with documents of different kinds (a passport and an ID, an old passport and a new one) |
| the same address with a door or a group in it | the same, or the same in every syllable |

Village, county or year of birth alone are no second datum. A phone that more than `PHONE_PERSONS_MAX` named persons were
reported with belongs to a workplace and tells nothing. Two valid resident IDs are two persons: everybody has one number,
for life (居民身份证法, Art. 3). Whom an officer has said to be different is not asked about again.

The numbers here are our own choice. `likeness` is pure; `desired` applies it to whatever persons are named.
"""

from __future__ import annotations

import dataclasses
import re

import psycopg
from rapidfuzz.distance import DamerauLevenshtein

from bihuan.identity import keys
from bihuan.identity.evidence import DOOR
from bihuan.identity.evidence import FIRST_NAME_PHONE as N0
from bihuan.identity.sealed import opened
from bihuan.identity.sounds import blurred, spoken

PHONE_PERSONS_MAX = 6  # named persons on one phone: a family, not yet a workplace
SHORT_NAME = 2  # characters; in so short a name one other character is another person
LONG_NAME = 5  # characters; transliterated names (阿不都热依木) are spelled in many ways
LATIN_NAME = 6  # letters

SAME, SOUND, ONE, ORDER = "same", "sound", "one", "order"
PHONE, ADDRESS, DOCUMENT = "phone", "address", "document"

_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")
UNREAD = "[?*□■〓�＊？]"  # signs that stand where a machine could not write a character; for Python and for SQL
_UNREAD = re.compile(UNREAD)
_DOOR = re.compile(DOOR)


def likeness(x: str, y: str) -> str:
    """How two names (as `kernel.text.name_key` writes them) are alike: same, sound, one, order; empty when they are not."""
    if not x or not y:
        return ""
    if x == y:
        return SAME
    bare_x, bare_y = (re.sub(r"[·\-.']", "", name) for name in (x, y))
    if bare_x == bare_y:
        return SAME
    if _UNREAD.search(x) or _UNREAD.search(y):
        return ONE if _fits(bare_x, bare_y) or _fits(bare_y, bare_x) else ""
    if spoken(x)[0] == spoken(y)[0] or blurred(x) == blurred(y):
        return SOUND
    long = LONG_NAME if _HAN.search(bare_x) and _HAN.search(bare_y) else LATIN_NAME
    shorter = min(len(bare_x), len(bare_y))
    if shorter >= long and len(bare_x) == len(bare_y) and bare_y in bare_x + bare_x:
        return ORDER
    apart = DamerauLevenshtein.distance(bare_x, bare_y, score_cutoff=1)
    if apart > 1:
        return ""
    if long == LONG_NAME:
        return ONE if max(len(bare_x), len(bare_y)) > SHORT_NAME and shorter >= SHORT_NAME and bare_x[0] == bare_y[0] else ""
    return ONE if shorter >= LATIN_NAME else ""


def _fits(written: str, read: str) -> bool:
    """Whether a name with signs that a machine could not write (王□梅) may be the other one."""
    if not _UNREAD.search(written) or len(_UNREAD.sub("", written)) == 0:
        return False
    return re.fullmatch("".join("." if _UNREAD.match(sign) else re.escape(sign) for sign in written), read) is not None


def names_a_door(address: str) -> bool:
    """Whether an address tells more than a village: a house, a door, a group."""
    return _DOOR.search(address) is not None


@dataclasses.dataclass(frozen=True)
class Near:
    """Persons (roots, the better evidence second) that may be one, and why: `phone sound`, `address same` …"""

    a: str
    b: str
    why: str


# {scope}: the roots in question. Pairs of one of them with a person reported with one phone, where those are not too many.
_BY_PHONE = """
WITH mine AS (
  SELECT DISTINCT h.phone_idx FROM {scope} n JOIN cluster c ON c.root = n.root JOIN holding h ON h.subject = c.subject
  WHERE n.met AND h.name_key <> ''),
held AS MATERIALIZED (
  SELECT DISTINCT h.phone_idx, c.root, h.name_key FROM mine JOIN holding h USING (phone_idx) JOIN cluster c ON c.subject = h.subject
  WHERE h.name_key <> ''),
few AS MATERIALIZED (
  SELECT phone_idx FROM held GROUP BY phone_idx HAVING count(DISTINCT root) BETWEEN 2 AND %(most)s)
SELECT DISTINCT x.root::text, y.root::text, x.name_key, y.name_key
FROM few JOIN held x USING (phone_idx) JOIN held y USING (phone_idx)
WHERE x.root > y.root AND (x.root IN (SELECT n.root FROM {scope} n) OR y.root IN (SELECT n.root FROM {scope} n))
"""

# Persons whose names are read alike and who were reported with one address in one event; both sealed values. First those
# of the scope who have an address: namesakes are many.
_BY_ADDRESS = """
SELECT DISTINCT greatest(x.root, y.root)::text, least(x.root, y.root)::text, x.name_key, y.name_key,
       x.event, x.subject, x.blob, y.subject, y.blob
FROM (
  SELECT c.root, i.event, i.subject, i.blob, i.address_idx, p.name_key, p.pinyin
  FROM {scope} n JOIN cluster c ON c.root = n.root JOIN identity i ON i.subject = c.subject AND i.address_idx <> '{{}}'
  JOIN person p ON p.subject = c.subject AND p.pinyin <> '' OFFSET 0) x
CROSS JOIN LATERAL (
  SELECT c.root, i.subject, i.blob, p.name_key
  FROM person p JOIN cluster c ON c.subject = p.subject JOIN identity i ON i.subject = p.subject
  WHERE p.pinyin = x.pinyin AND p.pinyin <> '' AND p.subject <> x.subject AND c.root <> x.root
    AND i.event = x.event AND i.address_idx && x.address_idx OFFSET 0) y
"""

_RESIDENTS = """
SELECT DISTINCT c.root::text FROM cluster c JOIN person p ON p.subject = c.subject
WHERE c.root = ANY(%(roots)s::uuid[]) AND p.birth_year IS NOT NULL
"""

_SETTLED_APART = """
SELECT DISTINCT greatest(ca.root, cb.root)::text, least(ca.root, cb.root)::text
FROM link l JOIN cluster ca ON ca.subject = l.a JOIN cluster cb ON cb.subject = l.b
WHERE l.rule = 'officer' AND l.ended_by IS NULL AND NOT l.same
"""

_ASKED_OTHERWISE = "SELECT a::text, b::text FROM doubt WHERE ended_by IS NULL AND why <> 'near'"


def desired(cursor: psycopg.Cursor, scope: str) -> list[Near]:
    """Every pair that ought to be asked about in which one of the persons of `scope` (a relation) is: `root`, and
    `met`, false where nobody else is named on any phone of that person.

    A fixed number of statements; Python only for pairs that have the second datum.
    """
    why: dict[tuple[str, str], set[str]] = {}
    for a, b, name_a, name_b in cursor.execute(_BY_PHONE.format(scope=scope), {"most": PHONE_PERSONS_MAX}).fetchall():
        like = likeness(name_a, name_b)
        # The same name with the same phone links by itself, unless both have documents.
        if like and (like != SAME or (a < str(N0) and b < str(N0))):
            why.setdefault((a, b), set()).add(f"{PHONE} {DOCUMENT if like == SAME else like}")
    data_keys: dict[int, bytes | None] = {}
    for a, b, name_a, name_b, event, *sealed in cursor.execute(_BY_ADDRESS.format(scope=scope)).fetchall():
        if event not in data_keys:
            data_keys[event] = keys.data_key(event)
        key = data_keys[event]
        if key is not None and _one_door(key, *sealed):
            why.setdefault((a, b), set()).add(f"{ADDRESS} {SAME if name_a == name_b else SOUND}")
    if not why:
        return []
    roots = sorted({root for pair in why for root in pair})
    residents = {root for (root,) in cursor.execute(_RESIDENTS, {"roots": roots}).fetchall()}
    never = set(cursor.execute(_SETTLED_APART).fetchall()) | set(cursor.execute(_ASKED_OTHERWISE).fetchall())
    return [
        Near(a, b, ", ".join(sorted(reasons)))
        for (a, b), reasons in sorted(why.items())
        if not (a in residents and b in residents) and (a, b) not in never
    ]


def _one_door(key: bytes, subject, blob, other, other_blob) -> bool:
    mine, theirs = opened(key, bytes(blob), subject.bytes), opened(key, bytes(other_blob), other.bytes)
    return any(names_a_door(address) for address in {*mine.addresses} & {*theirs.addresses})
