"""Packs: dated, cited rules as data. Load, lay overlays upon them, check, compare, find what is in force.

A pack's key names its file, its version and its overlays with theirs ("covid19/cn_9@2022-06-28+huaian138@2022"). It is
stored on what the pack decided, and `by_key` gives the same pack again for ever.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from bihuan.kernel.clock import SHANGHAI
from bihuan.kernel.refused import Refused
from bihuan.policy.document import SECTIONS, UNCLASSIFIED, Document, Overlay, Shared
from bihuan.policy.leaves import Leaf, leaves
from bihuan.policy.quiet import QuietHours
from bihuan.policy.rows import BandRow, Row, RuleRow, tightest

OVERLAYS = "overlays/"
_NAME = re.compile(r"[A-Za-z0-9_./-]{1,100}")  # of a file or a version: what comes from an address is no path to anywhere
_LEVELS = ("province", "city", "county")  # a county's overlay lies upon its city's, that upon the province's


@dataclass(frozen=True, slots=True)
class Rung:
    """`after` the deadline, ask the desk `steps_up` above the owner for help."""

    after: timedelta
    steps_up: int


@dataclass(frozen=True, slots=True)
class LeadRules:
    """What the engine and `leads` read. A None clock: the pack sets none, and nothing of that kind is opened."""

    needs_verification: frozenset[str]
    needs_sampling: frozenset[str]
    routing: str
    clock_start: str
    verify_within: timedelta | None
    sample_within: timedelta | None
    result_within: timedelta | None
    episode: timedelta
    hold: timedelta
    help_after: tuple[Rung, ...]
    grace: timedelta
    offered_for: timedelta
    settle_within: timedelta
    referral_within: timedelta
    support_within: timedelta
    undo: timedelta
    list_kept: timedelta | None  # None: to the end of the day
    waive_alone: int | None  # more than these at once need a second signature; None: one is enough


@dataclass(frozen=True, slots=True)
class Phase:
    """Days `starts_on` to `ends_on`, both included, in one place, with the days of the tests. No end: until release."""

    place: str
    out: str
    starts_on: date
    ends_on: date | None
    tests_on: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """What one class of persons is asked. `restricts` is true only for a measure on a person."""

    name: str
    row: RuleRow
    day_one_offset: int
    same_hour: bool = False

    @property
    def force(self) -> str:
        return self.row.force

    @property
    def restricts(self) -> bool:
        return self.row.force == "measure_on_person"

    def phases(self, start: date) -> tuple[Phase, ...]:
        """The phases of somebody whose first one begins on `start`; each begins on the day after the one before."""
        found: list[Phase] = []
        first = start + timedelta(days=self.day_one_offset)
        for phase in self.row.phases:
            tests_on = tuple(first + timedelta(days=day - 1) for day in phase.test_days)
            ends_on = first + timedelta(days=phase.days - 1) if phase.days else None
            found.append(Phase(phase.place, phase.out, first, ends_on, tests_on))
            first += timedelta(days=phase.days or 0)
        return tuple(found)

    def ends_at(self, start: datetime) -> datetime | None:
        """The moment at which all phases are over, of somebody for whom they began at an aware moment.

        Midnight (Asia/Shanghai) after the last day, or the same hour that many days later, as the pack counts. None
        where no term is set: nothing is asked, or it lasts until release.
        """
        local = start.astimezone(SHANGHAI)
        phases = self.phases(local.date())
        if not phases or phases[-1].ends_on is None:
            return None
        if self.same_hour:
            return local + timedelta(days=self.row.days)
        return datetime.combine(phases[-1].ends_on + timedelta(days=1), time.min, SHANGHAI)


@dataclass(frozen=True, eq=False)
class Pack:
    """A base pack with the overlays laid upon it, frozen. One object per key and library."""

    document: Document
    overlays: tuple[Overlay, ...] = ()

    @property
    def base_key(self) -> str:
        return f"{self.document.id}@{self.document.version}"

    @cached_property
    def key(self) -> str:
        """Short and stable: what is stored on a duty that the pack opened."""
        return "+".join([self.base_key, *(f"{overlay.short}@{overlay.version}" for overlay in self.overlays)])

    @property
    def disease(self) -> str:
        return self.document.disease

    def title(self, language: str = "zh") -> str:
        parts: list[Document | Overlay] = [self.document, *self.overlays]
        return " + ".join(part.title_en if language.startswith("en") else part.title_zh for part in parts)

    @cached_property
    def lead(self) -> LeadRules:
        lead = self.document.lead
        return LeadRules(
            needs_verification=frozenset(lead.needs_verification.classes),
            needs_sampling=frozenset(lead.needs_sampling.classes),
            routing=lead.routing.value,
            clock_start=lead.clock_start.value,
            verify_within=lead.verify_within.span if lead.verify_within else None,
            sample_within=lead.sample_within.span if lead.sample_within else None,
            result_within=lead.result_within.span if lead.result_within else None,
            episode=lead.episode.span,
            hold=lead.hold.span,
            help_after=tuple(Rung(timedelta(minutes=rung.after_minutes), rung.steps_up) for rung in lead.help_after.rungs),
            grace=lead.grace.span,
            offered_for=lead.offered_for.span,
            settle_within=lead.settle_within.span,
            referral_within=lead.referral_within.span,
            support_within=lead.support_within.span,
            undo=lead.undo.span,
            list_kept=lead.list_kept.span if lead.list_kept else None,
            waive_alone=lead.waive_alone.value if lead.waive_alone else None,
        )

    @property
    def adult_years(self) -> int:
        return self.document.adult.years

    @cached_property
    def quiet(self) -> QuietHours | None:
        row = self.document.quiet
        return QuietHours(row.from_, row.to, frozenset(row.except_classes)) if row else None

    def due(self, opened_at: datetime, within: timedelta | None, origin_class: str | None = None) -> datetime | None:
        """The deadline of a duty opened at an aware moment, quiet hours folded in. None where the pack sets no clock."""
        if within is None:
            return None
        return self.quiet.fold(opened_at + within, opened_at, origin_class) if self.quiet else opened_at + within

    def asks_at(self, due_at: datetime, rung: Rung, origin_class: str | None = None) -> datetime:
        """When a rung of the ladder rings for a duty due at `due_at`: with the deadline, or so much waking time after it.

        Nobody is asked for help in quiet hours, except for the classes that are called at night too.
        """
        if self.quiet is None or not rung.after:  # a deadline never lies inside quiet hours: `fold` made it
            return due_at + rung.after
        return self.quiet.fold(due_at + rung.after, due_at, origin_class)

    @property
    def origin_classes(self) -> tuple[str, ...]:
        return tuple(self.document.origin_classes)

    def class_title(self, origin_class: str, language: str = "zh") -> str:
        """The words for a class of origin; the word itself for a class that this pack does not know."""
        row = self.document.origin_classes.get(origin_class)
        return origin_class if row is None else row.en if language.startswith("en") else row.zh

    def arrival_rule(self, origin_class: str) -> Rule:
        """What is asked of somebody from an origin of this class; a class that the pack does not know is unclassified."""
        name = origin_class if origin_class in self.document.origin_classes else UNCLASSIFIED
        return self._rule(name, self.document.origin_classes[name])

    def person_rule(self, name: str) -> Rule | None:
        """What is asked of a close contact, an entrant …; None where the pack does not name such persons at all."""
        row = self.document.persons.get(name)
        return self._rule(name, row) if row else None

    def rules(self) -> Iterator[Rule]:
        for name in self.document.origin_classes:
            yield self.arrival_rule(name)
        for name, row in self.document.persons.items():
            yield self._rule(name, row)

    @property
    def restricts_anybody(self) -> bool:
        """Whether any row of whatever kind is a measure on a person."""
        return any(getattr(row, "force", "") == "measure_on_person" for row in _rows(self.document))

    def tests_every(self, groups: Iterable[str], *, epidemic: bool = False) -> float | None:
        """Days between two tests of somebody in these groups: the shortest counts. None where none of them says."""
        return tightest((self.document.groups[name] for name in groups if name in self.document.groups), epidemic=epidemic)

    def band(self, index: str, value: float) -> BandRow | None:
        """The band of an index (`breteau` …) that a value lies in."""
        return next((row for row in self.document.bands.values() if row.index == index and row.holds(value)), None)

    def given_by(self, path: str) -> Document | Overlay:
        """Which file a row comes from: the last overlay that changes it, else the base."""
        return next((overlay for overlay in reversed(self.overlays) if _changes(overlay.changes, path)), self.document)

    def _rule(self, name: str, row: RuleRow) -> Rule:
        day_one, ends = row.day_one or self.document.counting.day_one, row.ends or self.document.counting.ends
        return Rule(name, row, 0 if day_one == "first_day" else 1, ends == "same_hour")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that would make `load` refuse it, or that its reader should know."""

    file: str
    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Change:
    """A value that differs between two packs; `stricter` is None where strictness has no meaning."""

    path: str
    before_zh: str
    after_zh: str
    before_en: str
    after_en: str
    label_zh: str
    label_en: str
    stricter: bool | None
    source: tuple[str, ...]

    def sentence(self, language: str = "zh") -> str:
        if language.startswith("en"):
            note = {True: " (stricter)", False: "", None: ""}[self.stricter]
            return f"{self.label_en}: {self.before_en} → {self.after_en}{note}"
        note = {True: "（更严）", False: "", None: ""}[self.stricter]
        return f"{self.label_zh}：{self.before_zh} → {self.after_zh}{note}"


class Library:
    """The packs under one folder. Files are read once; what a released version says never changes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.load = lru_cache(maxsize=None)(self._load)
        self.load_overlay = lru_cache(maxsize=None)(self._load_overlay)
        self.by_key = lru_cache(maxsize=None)(self._by_key)
        self._merged: dict[tuple[str, ...], Pack] = {}

    def files(self) -> list[Path]:
        return sorted(self.root.rglob("*.toml"))

    def _load(self, pack_id: str, version: str) -> Pack:
        """The base pack of that id and version. Refuses what is not there (pack_unknown) and what is wrong (pack_invalid …)."""
        return Pack(self._document(pack_id, self._included(self._read(pack_id, version))))

    def _included(self, data: Mapping[str, Any], above: tuple[str, ...] = ()) -> dict[str, Any]:
        """A base file laid upon what it includes. Its own rows replace those beneath, whole."""
        where = f"{data.get('id')}@{data.get('version')}"
        if where in above:
            raise Refused("pack_includes_itself", f"{where} 包含了自己，请去掉 includes 里的它", f"{where} includes itself", above[0])
        beneath: dict[str, Any] = {}
        named = data.get("includes", ())
        for key in (named,) if isinstance(named, str) else named:
            pack_id, _, version = str(key).partition("@")
            under = self._included(self._read(pack_id, version), (*above, where))
            _check_sources(where, beneath.get("sources", {}), under.get("sources", {}))
            beneath = _laid_upon(beneath, {name: under[name] for name in (*SECTIONS, "counting", "sources") if name in under})
        _check_sources(where, beneath.get("sources", {}), data.get("sources", {}))
        return _laid_upon(beneath, data)

    def _load_overlay(self, overlay_id: str, version: str) -> Overlay:
        """An overlay, checked against each base that it may lie upon.

        Refuses one that is stricter than a base and lacks its reason, its approver or its end: overlay_incomplete.
        """
        data = self._read(overlay_id, version)
        _check_numbers(overlay_id, data)
        try:
            overlay = Overlay.model_validate(data)
        except ValidationError as error:
            raise _invalid(overlay_id, error) from error
        for base_key in overlay.overlay_of:
            base_id, _, base_version = base_key.partition("@")
            base = self.load(base_id, base_version)
            stricter = [change for change in _diff(base.document, self._laid(base.document, overlay)) if change.stricter]
            lacks = [field for field in ("reason", "approver", "expires_on") if not getattr(overlay, field)]
            if stricter and lacks:
                zh = {"reason": "理由", "approver": "批准人", "expires_on": "失效日期"}
                raise Refused(
                    "overlay_incomplete",
                    f"补充规定严于上级方案（{stricter[0].sentence()}），须写明{'、'.join(zh[field] for field in lacks)}",
                    f"the overlay is stricter than its base ({stricter[0].sentence('en')}) and must say its {', '.join(lacks)}",
                    overlay_id,
                )
        return overlay

    def merge(self, base: Pack, overlays: Iterable[Overlay]) -> Pack:
        """The base with the overlays upon it, province before city before county; the last one that names a row counts."""
        document = base.document
        ordered = sorted([*base.overlays, *overlays], key=lambda overlay: (_LEVELS.index(overlay.level), overlay.id))
        names = (base.base_key, *(f"{overlay.id}@{overlay.version}" for overlay in ordered))
        if names in self._merged:
            return self._merged[names]
        for overlay in ordered:
            if base.base_key not in overlay.overlay_of:
                raise Refused(
                    "overlay_elsewhere",
                    f"《{overlay.title_zh}》不是《{document.title_zh}》的补充规定",
                    f"“{overlay.title_en}” is no overlay of “{document.title_en}”",
                    overlay.id,
                )
            document = self._laid(document, overlay)
        return self._merged.setdefault(names, Pack(document, tuple(ordered)) if ordered else base)

    def _by_key(self, key: str) -> Pack:
        """The pack that a stored key names, also when it is long out of force."""
        base_key, *shorts = key.split("+")
        pack_id, _, version = base_key.partition("@")
        overlays = tuple(self._overlay_of_short(short) for short in shorts)
        return self.merge(self.load(pack_id, version), overlays)

    def check_all(self) -> list[Problem]:
        """Everything wrong in the folder: unreadable files, unknown keys, numbers without source, incomplete overlays."""
        problems: list[Problem] = []
        shorts: dict[str, str] = {}
        for file in self.files():
            name = file.relative_to(self.root).with_suffix("").as_posix()
            try:
                data = _parsed(file)
                version = str(data.get("version", ""))
                if "overlay_of" in data:
                    overlay = self.load_overlay(str(data.get("id", name)), version)
                    short = f"{overlay.short}@{overlay.version}"
                    if (other := shorts.setdefault(short, overlay.id)) != overlay.id:
                        raise Refused("overlay_name_taken", f"简称 {short} 已被 {other} 使用", f"{other} has the short name {short}")
                elif "disease" in data:
                    self.load(str(data.get("id", name)), version)
                else:
                    self._check_shared(str(data.get("id", name)), version)
            except tomllib.TOMLDecodeError as error:
                problems.append(Problem(name, "pack_unreadable", f"文件格式错误：{error}", f"not TOML: {error}"))
            except Refused as refused:
                problems.append(Problem(name, refused.code, refused.zh, refused.en))
        return problems

    def _check_shared(self, pack_id: str, version: str) -> None:
        data = self._read(pack_id, version)
        _check_numbers(pack_id, data)
        try:
            shared = Shared.model_validate(data)
        except ValidationError as error:
            raise _invalid(pack_id, error) from error
        _check_named_sources(pack_id, _rows(shared), shared.sources)

    def bases(self) -> list[Pack]:
        """Every base pack that can be loaded, by disease and date; a wrong file is left out (`check_all` names it)."""
        found: list[Pack] = []
        for data in self._heads():
            if "disease" in data:
                try:
                    found.append(self.load(str(data.get("id")), str(data.get("version"))))
                except Refused:
                    continue
        return sorted(found, key=lambda pack: (pack.disease, pack.document.in_force_from, pack.key))

    def overlays(self) -> list[Overlay]:
        """Every overlay that can be loaded, by id."""
        found: list[Overlay] = []
        for data in self._heads():
            if "overlay_of" in data:
                try:
                    found.append(self.load_overlay(str(data.get("id")), str(data.get("version"))))
                except Refused:
                    continue
        return sorted(found, key=lambda overlay: (overlay.id, overlay.version))

    def _heads(self) -> Iterator[Mapping[str, Any]]:
        for file in self.files():
            try:
                yield _parsed(file)
            except tomllib.TOMLDecodeError:
                continue

    def _read(self, pack_id: str, version: str) -> Mapping[str, Any]:
        if not (_NAME.fullmatch(pack_id) and _NAME.fullmatch(version)):
            raise Refused("pack_unknown", "没有这个方案", "there is no such pack", "key")
        for name in (f"{pack_id}@{version}.toml", f"{pack_id}.toml"):
            file = (self.root / name).resolve()
            if file.is_relative_to(self.root.resolve()) and file.is_file():
                try:
                    data = _parsed(file)
                except tomllib.TOMLDecodeError as error:
                    raise Refused("pack_unreadable", f"方案文件格式错误：{error}", f"the pack is not TOML: {error}", pack_id) from error
                if data.get("id") == pack_id and data.get("version") == version:
                    return data
        raise Refused("pack_unknown", f"没有方案 {pack_id} 的 {version} 版", f"there is no version {version} of pack {pack_id}", pack_id)

    def _document(self, where: str, data: dict[str, Any]) -> Document:
        _check_numbers(where, data)
        try:
            document = Document.model_validate(data)
        except ValidationError as error:
            raise _invalid(where, error) from error
        _check_named_sources(where, _rows(document), document.sources)
        return document

    def _laid(self, base: Document, overlay: Overlay) -> Document:
        data = base.model_dump(mode="python", by_alias=True, exclude_none=True)
        sources = {name: source.model_dump() for name, source in overlay.sources.items()}
        _check_sources(overlay.id, data["sources"], sources)
        data["sources"] |= sources
        fixed = overlay.changes.keys() - set(SECTIONS)
        if fixed:
            names = ", ".join(sorted(fixed))
            raise Refused("overlay_field", f"补充规定不能修改：{names}", f"an overlay cannot change: {names}", overlay.id)
        return self._document(overlay.id, _laid_upon(data, overlay.changes))

    def _overlay_of_short(self, short: str) -> Overlay:
        name, _, version = short.partition("@")
        for file in self.files():
            if not file.relative_to(self.root).as_posix().startswith(OVERLAYS):
                continue
            data = _parsed(file)
            if (data.get("short"), data.get("version")) == (name, version):
                return self.load_overlay(data["id"], version)
        raise Refused("pack_unknown", f"没有补充规定 {short}", f"there is no overlay {short}", short)


@cache
def library() -> Library:
    """The packs of this installation: BIHUAN_PACKS, else the folder `packs` of the source tree."""
    return Library(Path(os.environ.get("BIHUAN_PACKS") or Path(__file__).resolve().parents[3] / "packs"))


def load(pack_id: str, version: str) -> Pack:
    return library().load(pack_id, version)


def load_overlay(overlay_id: str, version: str) -> Overlay:
    return library().load_overlay(overlay_id, version)


def merge(base: Pack, overlays: Iterable[Overlay]) -> Pack:
    return library().merge(base, overlays)


def by_key(key: str) -> Pack:
    return library().by_key(key)


def check_all() -> list[Problem]:
    return library().check_all()


def diff(before: Pack, after: Pack) -> list[Change]:
    """Every value in which two packs differ, in the order of the file, with its words and whether it became stricter."""
    return _diff(before.document, after.document)


def in_force(event_id: int, region_scope: int, on: date) -> Pack:
    """The pack by which a place works on a day. Refuses where nothing was adopted (no_pack_in_force)."""
    from bihuan.policy.queries import plan

    return plan(event_id, on).pack_for(region_scope)


def is_overlay(pack_id: str) -> bool:
    return pack_id.startswith(OVERLAYS)


def digest_of(pack_id: str, version: str) -> bytes:
    """SHA-256 of what a file means now; comments and order do not count. Compared with the one kept at adoption."""
    if is_overlay(pack_id):
        return _digest(load_overlay(pack_id, version).model_dump(mode="json", exclude_none=True))
    return _digest(load(pack_id, version).document.model_dump(mode="json", exclude_none=True))


def _digest(meaning: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(json.dumps(meaning, ensure_ascii=False, sort_keys=True).encode()).digest()


def _diff(before: Document, after: Document) -> list[Change]:
    old = {leaf.path: leaf for leaf in leaves(before)}
    new = {leaf.path: leaf for leaf in leaves(after)}
    changes: list[Change] = []
    for path in dict.fromkeys([*old, *new]):
        a, b = old.get(path), new.get(path)
        known = b or a
        assert known is not None
        if a is not None and b is not None and (known.whole or a.value == b.value):
            continue
        if (a is None or b is None) and known.within:
            continue
        changes.append(
            Change(
                path,
                a.shown_zh if a else "无",
                b.shown_zh if b else "无",
                a.shown_en if a else "none",
                b.shown_en if b else "none",
                known.mark.zh,
                known.mark.en,
                _is_stricter(a, b),
                known.row.source,
            )
        )
    return changes


def _is_stricter(before: Leaf | None, after: Leaf | None) -> bool | None:
    known = after or before
    assert known is not None
    mark = known.mark
    a, b = before.value if before else None, after.value if after else None
    match mark.stricter:
        case "never":
            return None
        case "shorter":
            return b is not None and (a is None or b < a)
        case "longer":
            return (b or 0) > (a or 0)
        case "more":
            return bool((b or frozenset()) - (a or frozenset()))
        case "ranked":
            return (mark.ranks.index(b) if b else 0) > (mark.ranks.index(a) if a else 0)
        case "fewer":
            if a is None or b is None:
                return a is not None
            return _quiet_length(b) < _quiet_length(a) or bool(b[2] - a[2])


def _quiet_length(value: tuple[Any, ...]) -> timedelta:
    return QuietHours(*value).length


def _laid_upon(data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Sections are joined; a row (what has a source) is replaced whole."""
    joined = dict(data)
    for name, value in changes.items():
        known = joined.get(name)
        if isinstance(value, Mapping) and isinstance(known, Mapping) and "source" not in value:
            joined[name] = _laid_upon(dict(known), value)
        else:
            joined[name] = value
    return joined


def _parsed(file: Path) -> Mapping[str, Any]:
    """What a file says, read again when it has changed. Nobody changes the answer."""
    return _parsed_at(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=1000)
def _parsed_at(file: Path, _changed: int) -> Mapping[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _rows(value: object) -> Iterator[Row]:
    if isinstance(value, Row):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _rows(item)
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _rows(getattr(value, name))


def _check_numbers(where: str, data: Mapping[str, Any]) -> None:
    """Refuse a number that no row with a source and a grade encloses."""

    def walk(value: object, path: str, cited: bool) -> Iterator[str]:
        if isinstance(value, Mapping):
            cited = cited or ("source" in value and "grade" in value)
            for name, item in value.items():
                yield from walk(item, f"{path}.{name}" if path else name, cited)
        elif isinstance(value, list | tuple):
            for item in value:
                yield from walk(item, path, cited)
        elif isinstance(value, int | float) and not isinstance(value, bool) and not cited:
            yield path

    for path in walk(data, "", False):
        raise Refused("number_without_source", f"{path}：数字没有来源和等级", f"{path}: a number without source and grade", where)


def _check_sources(where: str, known: Mapping[str, Any], more: Mapping[str, Any]) -> None:
    for name, source in more.items():
        if name in known and {"address": "", **known[name]} != {"address": "", **source}:
            raise Refused(
                "source_conflict",
                f"来源 {name} 在两份文件里说法不同，请改成一致或换一个名字",
                f"source {name} differs between two files; make them agree or rename one",
                where,
            )


def _check_named_sources(where: str, rows: Iterable[Row], sources: Mapping[str, Any]) -> None:
    unknown = sorted({name for row in rows for name in row.source} - sources.keys())
    if unknown:
        names = "、".join(unknown)
        raise Refused(
            "source_unknown",
            f"来源没有登记：{names}，请在 [sources] 里写明",
            f"sources that the file does not list: {', '.join(unknown)}; add them to [sources]",
            where,
        )


def _changes(changes: Mapping[str, Any], path: str) -> bool:
    """Whether the nested `changes` hold the row of a dotted path, or a part of it."""
    at: Any = changes
    for part in path.split("."):
        if not isinstance(at, Mapping) or part not in at:
            return isinstance(at, Mapping) and "source" in at
        at = at[part]
    return True


# What pydantic says of a wrong value, for people who write packs.
_WRONG_ZH = {
    "missing": "缺少这一项，请补上",
    "extra_forbidden": "没有这个字段，请改名或删去",
    "literal_error": "只能是 {expected}",
    "int_parsing": "要写整数",
    "int_type": "要写整数",
    "string_type": "要写文字（加引号）",
    "greater_than_equal": "不能小于 {ge}",
    "greater_than": "要大于 {gt}",
    "less_than_equal": "不能大于 {le}",
    "date_from_datetime_parsing": "要写日期，如 2022-06-28",
}


def _invalid(where: str, error: ValidationError) -> Refused:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    code = "pack_unknown_key" if first["type"] == "extra_forbidden" else "pack_invalid"
    context = first.get("ctx", {})
    zh = context.get("zh") or _WRONG_ZH.get(first["type"], first["msg"]).format_map(context)
    return Refused(code, f"{path or '整份文件'}：{zh}", f"{path or 'the file'}: {first['msg']}", where)


__all__ = [
    "Change", "LeadRules", "Library", "Pack", "Phase", "Problem", "Rule", "Rung", "by_key", "check_all", "diff", "digest_of", "in_force",
    "is_overlay", "library", "load", "load_overlay", "merge",
]  # fmt: skip
