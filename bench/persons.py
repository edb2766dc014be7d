"""Who the persons of a list are: linked, encrypted, indexed; against the same by the framework's `bulk_create`.

1.0 is the way one writes it first, and not badly: batches as large as ours, in a transaction each, `bulk_create` with
`update_conflicts` for every table, one look for what is known already, the rules of linking in Python. It keeps the same
rows (aliases, persons, sealed values, blind indexes, holdings, links with a fact each, clusters) and leaves out what ours
does besides: doubts, officers' decisions, links that end, duties that follow.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections import defaultdict
from typing import Any
from uuid import UUID

import polars as pl
import psycopg

from bench.harness import Report, quiet

NAMED, PHONES = 3, 5  # beside each person's row: every third comes again by name and phone, every fifth by phone alone
TABLES = ("subject", "cluster", "person", "identity", "holding", "link", "linked", "unlinked", "fact", "doubt", "doubted")


def mixed(checked: pl.DataFrame) -> pl.DataFrame:
    """The accepted rows of a list, and the same persons as senders without documents name them, well mixed."""
    no_doc = pl.lit(None, pl.String).alias("doc")
    named = checked.gather_every(NAMED).with_columns(no_doc)
    phones = checked.gather_every(PHONES).with_columns(no_doc, pl.lit(None, pl.String).alias("name"))
    whole = pl.concat([checked, named, phones]).sample(fraction=1.0, shuffle=True, seed=5)
    return whole.with_columns(pl.arange(1, whole.height + 1, dtype=pl.Int64).cast(checked.schema["row"]).alias("row"))


def compare(report: Report, server: psycopg.Connection, rows: pl.DataFrame, *, ours_first: bool) -> None:
    """One round of both ways, each beginning without persons."""
    found = {}
    for way in (ours, _plain) if ours_first else (_plain, ours):
        name = way.__name__.strip("_")
        _emptied(server)
        with report.timed(f"persons, {name} s"):
            way(rows)
        found[name] = _persons(server)
    report.must("both ways find the same persons", found["ours"] == found["plain"])
    took = {name: report.samples[f"persons, {name} s"][-1] for name in found}
    report.add("persons, rows a second", rows.height / took["ours"])
    report.ratio("persons_to_bulk_create", took["plain"], took["ours"])


def _emptied(server: psycopg.Connection) -> None:
    server.execute("DELETE FROM subject WHERE kind = 'person'")
    server.execute("TRUNCATE " + ", ".join(t for t in TABLES if t != "subject"))
    server.execute("VACUUM (ANALYZE) subject, cluster, person, identity, holding, link")
    quiet(server)


def _persons(server: psycopg.Connection) -> str:
    """A hash of what must be alike: who is one person, by which links, with which phones; and that every value is sealed."""
    sums = []
    for select in (
        "SELECT subject, root FROM cluster ORDER BY 1",
        "SELECT a, b, rule FROM link WHERE ended_by IS NULL ORDER BY 1, 2",
        "SELECT subject, phone_idx, name_key FROM holding ORDER BY 1, 2, 3",
        "SELECT subject, name_key, pinyin, initials, birth_year, sex, minor FROM person ORDER BY 1",
        "SELECT subject, octet_length(blob) > 40 FROM identity ORDER BY 1",
    ):
        sums.append(server.execute(f"SELECT count(*), md5(string_agg(x::text, '|')) FROM ({select}) x").fetchone())
    return repr(sums)


def _batches(rows: pl.DataFrame):
    from bihuan.intake.actions import BATCH_ROWS

    return rows.iter_slices(BATCH_ROWS)


def ours(rows: pl.DataFrame) -> None:
    from django.db import transaction

    from bihuan.access import queries as access
    from bihuan.access import scope
    from bihuan.identity.match import match
    from bihuan.kernel import clock, ids
    from bihuan.site import demo

    post = access.post_of(demo.CONSOLE)
    for part in _batches(rows):
        with scope.acting(scope.of(post)), transaction.atomic():
            match(part, event=demo.event(), by=post, act=ids.new_id(), adult_years=_adult_years(), on=clock.today())


@functools.cache
def _adult_years() -> int:
    from bihuan.policy import pack

    return pack.load("covid19/cn_9", "2022-06-28").adult_years


def _plain(rows: pl.DataFrame) -> None:
    from django.db import transaction

    from bihuan.access import queries as access
    from bihuan.access import scope
    from bihuan.access.door import engine
    from bihuan.identity import keys
    from bihuan.site import demo

    post = access.post_of(demo.CONSOLE)
    for part in _batches(rows):
        with scope.acting(scope.of(post)), transaction.atomic():
            key = keys.ensure_data_key(demo.event())
            with engine():
                _batch(part.to_dicts(), demo.event(), post, keys.installation(), key)


def _batch(rows: list[dict[str, Any]], event: int, post, own, key: bytes) -> None:
    from bihuan.identity.models import Holding, Identity, Person
    from bihuan.subjects.models import Cluster, Subject

    said: dict[UUID, dict[str, Any]] = {}
    holdings: set[tuple[UUID, bytes, str]] = set()
    for row in rows:
        alias, kind, name_key, phone_idx = _evidence(row, own)
        one = said.setdefault(
            alias, {"kind": kind, "name": "", "name_key": "", "doc": row["doc"], "doc_kind": None, "phones": [], "addresses": []}
        )
        if not one["name_key"] and name_key:
            one["name"], one["name_key"] = row["name"], name_key
        one["doc_kind"] = one["doc_kind"] or row.get("doc_kind")
        for name, value in (("phones", row["phone"]), ("addresses", row.get("address"))):
            if value and value not in one[name]:
                one[name].append(value)
        if phone_idx:
            holdings.add((alias, phone_idx, name_key))
    Subject.objects.bulk_create([Subject(id=a, kind="person") for a in said], ignore_conflicts=True)
    Cluster.objects.bulk_create([Cluster(subject_id=a, root=a) for a in said], ignore_conflicts=True)
    known = {p.subject_id: p for p in Person.objects.filter(subject_id__in=list(said))}
    persons = [_person(a, one, known.get(a)) for a, one in said.items() if one["kind"] != 2]
    fields = ["name", "name_key", "pinyin", "initials", "birth_year", "sex", "minor"]
    Person.objects.bulk_create(persons, update_conflicts=True, unique_fields=["subject"], update_fields=fields)
    before = {i.subject: bytes(i.blob) for i in Identity.objects.filter(event=event, subject__in=list(said))}
    sealed = [_sealed(a, one, before.get(a), event, own, key) for a, one in said.items()]
    Identity.objects.bulk_create(sealed, update_conflicts=True, unique_fields=["subject", "event"], update_fields=["blob", "address_idx"])
    made = [Holding(event=event, subject=a, phone_idx=p, name_key=n) for a, p, n in holdings]
    Holding.objects.bulk_create(made, ignore_conflicts=True)
    _link({p for _, p, _ in holdings}, event, post)


def _evidence(row: dict[str, Any], own) -> tuple[UUID, int, str, bytes | None]:
    """Alias, kind, key of the name and blind index of the phone, as `identity.evidence` makes them for a whole column."""
    from bihuan.kernel.text import name_key as key_of

    name_key = key_of(row["name"]) if row["name"] else ""
    kind = 0 if row["doc"] else 1 if name_key and row["phone"] else 2
    said = (f"0{row['doc']}", f"1{name_key}\x1f{row['phone']}", f"2{row['phone']}")[kind]
    raw = bytearray(own.index("alias", said))
    raw[0] = (raw[0] & 0x3F) | (kind << 6)
    raw[6] = (raw[6] & 0x0F) | 0x80
    raw[8] = (raw[8] & 0x3F) | 0x80
    # A phone by itself has no name.
    return UUID(bytes=bytes(raw)), kind, name_key if kind != 2 else "", own.index("phone", row["phone"]) if row["phone"] else None


def _person(alias: UUID, one: dict[str, Any], known):
    from bihuan.identity.models import Person
    from bihuan.identity.sounds import spoken
    from bihuan.kernel import clock

    born = one["doc"][6:14] if one["doc"] and len(one["doc"]) == 18 else None
    today = clock.today()
    minor = int(born) > (today.year - _adult_years()) * 10000 + today.month * 100 + today.day if born else None
    if known is not None and known.name_key:
        one = {**one, "name": known.name, "name_key": known.name_key}
    pinyin, initials = spoken(one["name_key"]) if one["name_key"] else ("", "")
    return Person(
        subject_id=alias, name=one["name"], name_key=one["name_key"], pinyin=pinyin, initials=initials,
        birth_year=int(born[:4]) if born else None,
        sex=("m" if int(one["doc"][16]) % 2 else "f") if born else "", minor=minor and (known is None or known.minor), marks=[],
    )  # fmt: skip


def _sealed(alias: UUID, one: dict[str, Any], before: bytes | None, event: int, own, key: bytes):
    from bihuan.identity.match import opened
    from bihuan.identity.models import Identity
    from bihuan.kernel.crypto import seal

    said = json.dumps({n: one[n] for n in ("doc", "doc_kind", "phones", "addresses")}, ensure_ascii=False)
    if before is not None:
        said = opened(key, before, alias.bytes).merged(said)
    addresses = [own.index("address", address) for address in json.loads(said)["addresses"]]
    return Identity(subject=alias, event=event, blob=seal(key, said.encode(), alias.bytes), address_idx=addresses)


def _link(phones: set[bytes], event: int, post) -> None:
    """Rules 1 and 2 of `identity.oracle` around the phones of a batch; nobody has decided anything."""
    from bihuan.identity.models import Holding, Link, Linked, Person, Unlinked
    from bihuan.kernel import ids
    from bihuan.subjects.models import Cluster

    documents, holders, names, alone = defaultdict(set), defaultdict(set), [], []
    for h in Holding.objects.filter(phone_idx__in=list(phones)):
        kind, phone = h.subject.int >> 126, bytes(h.phone_idx)
        if kind == 0:
            documents[phone, h.name_key].add(h.subject)
        elif kind == 1:
            names.append((h.subject, phone, h.name_key))
        if kind == 2:
            alone.append((h.subject, phone))
        else:
            holders[phone].add(h.subject)
    root = {a: a for at in holders.values() for a in at}
    wanted = {}
    for alias, phone, name_key in names:
        if len(documents[phone, name_key]) == 1:
            (root[alias],) = documents[phone, name_key]
            wanted[alias] = (root[alias], "name_phone")
    minors = {p.subject_id for p in Person.objects.filter(subject_id__in=list(root), minor=True)}
    for alias, phone in alone:
        adults = {root[a] for a in holders[phone]} - minors
        if len(adults) == 1:
            (root[alias],) = adults
            wanted[alias] = (min(a for a in holders[phone] if root[a] == root[alias]), "phone")
    there = {link.a: link for link in Link.objects.filter(a__in=[a for a, *_ in names + alone], ended_by=None)}
    new = {a: (b, rule, ids.new_id()) for a, (b, rule) in wanted.items() if a not in there or there[a].b != b}
    gone = {a: (link.b, link.rule, ids.new_id()) for a, link in there.items() if wanted.get(a, (None,))[0] != link.b}
    _told("identity.unlinked", gone, Unlinked, event, post)
    for a, (_, _, fact) in gone.items():
        there[a].ended_by = fact
    Link.objects.bulk_update([there[a] for a in gone], ["ended_by"])
    _told("identity.linked", new, Linked, event, post)
    Link.objects.bulk_create([Link(a=a, b=b, rule=rule, fact=fact) for a, (b, rule, fact) in new.items()])
    moved = [Cluster(subject_id=a, root=root.get(a, a)) for a in {**new, **gone, **dict.fromkeys(wanted)}]
    Cluster.objects.bulk_create(moved, update_conflicts=True, unique_fields=["subject"], update_fields=["root"])


def _told(kind: str, pairs: dict[UUID, tuple[UUID, str, UUID]], details, event: int, post) -> None:
    """A fact and its details for each link that began or ended."""
    from bihuan.kernel import clock, ids
    from bihuan.ledger.models import Fact

    now, act = clock.now(), ids.new_id()
    Fact.objects.bulk_create(
        [
            Fact(
                id=fact, act=act, event=event, kind=kind, subject=a, happened_at=now, received_at=now, effective_at=now,
                by=post.officer_id, unit=post.unit_id, digest=hashlib.sha256(f"{event}{a}{b}{rule}".encode()).digest(), salt=os.urandom(16),
            )
            for a, (b, rule, fact) in pairs.items()
        ]
    )  # fmt: skip
    details.objects.bulk_create([details(fact=fact, a=a, b=b, rule=rule, reason="") for a, (b, rule, fact) in pairs.items()])
