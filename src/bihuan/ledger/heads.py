"""Heads of the chain kept outside the database, signed by the installation, so that history cannot be written anew.

A file of heads has one line for each seal, and each line holds all that the link of the chain is computed from: whoever
keeps the file can check by itself that what comes later continues what it has.

    bihuan-heads 1 <name of the database> <public key, hex>
    <epoch> <no> <chain> <root> <upto> <n_facts> <sealed_at> <Ed25519 signature, base64>
    restored <epoch> <no> <when>         later seals of that epoch were lost in a restore; somebody said so

A line of three words (epoch, number, chain), typed in from the duty log on paper, counts too, unsigned. The signing key
(`seal.key`) lies beside the master key, made at the first seal; its fingerprint belongs on paper. Appends are flushed to
the disk before anything is reported as kept. A line cut off by a crash is not there.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.db import connection

from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.ledger import seals
from bihuan.ledger.gaps import Gap
from bihuan.ledger.models import Seal

FORMAT = "bihuan-heads 1"
At = tuple[int, int]  # epoch, number


@dataclasses.dataclass(frozen=True)
class Line:
    """One seal as a keeper has it. Without `root` it was typed in from paper: its chain counts, nothing else is known."""

    epoch: int
    no: int
    chain: bytes
    root: bytes | None = None
    upto: int = 0
    n_facts: int = 0
    sealed_at: datetime | None = None
    signature: bytes = b""

    @property
    def at(self) -> At:
        return self.epoch, self.no

    def words(self) -> str:
        """What is signed, and what the line says before the signature."""
        assert self.root is not None
        assert self.sealed_at is not None
        when = self.sealed_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return f"{self.epoch} {self.no} {self.chain.hex()} {self.root.hex()} {self.upto} {self.n_facts} {when}"

    def text(self) -> str:
        return f"{self.words()} {base64.b64encode(self.signature).decode()}\n"

    def follows(self, before: bytes) -> bool:
        """Is this the link after a chain value? A line from paper cannot tell."""
        if self.root is None or self.sealed_at is None:
            return True
        link = seals.chain_of(
            before, self.root, epoch=self.epoch, no=self.no, upto=self.upto, n_facts=self.n_facts, sealed_at=self.sealed_at
        )
        return link == self.chain


@dataclasses.dataclass
class Kept:
    """A file of heads as read. `lost_after`: epoch -> the last number that a restore brought back.

    `unreadable`: what is wrong with single lines (number of the line, why); they are left out of `lines`.
    """

    lines: dict[At, Line] = dataclasses.field(default_factory=dict)
    lost_after: dict[int, int] = dataclasses.field(default_factory=dict)
    unreadable: list[tuple[int, str]] = dataclasses.field(default_factory=list)
    name: str = ""
    key: bytes = b""

    @property
    def last(self) -> Line | None:
        """The end of what is kept, without what a restore is known to have lost."""
        return next((line for at, line in sorted(self.lines.items(), reverse=True) if not self.is_lost(at)), None)

    def is_lost(self, at: At) -> bool:
        return at[1] > self.lost_after.get(at[0], at[1])


# --- the installation's key ---------------------------------------------------------------------------------------


def key_file() -> Path:
    return Path(settings.MASTER_KEY_FILE).with_name("seal.key")


def signing_key() -> Ed25519PrivateKey:
    """The installation's key, made (mode 0600) when missing. PermissionError when others can read it."""
    path = key_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            raise PermissionError(f"{path}: the key of the seals may be read by its owner only (chmod 600)") from None
        return Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    made = os.urandom(32)
    with os.fdopen(handle, "wb") as file:
        file.write(made)
        file.flush()
        os.fsync(file.fileno())
    return Ed25519PrivateKey.from_private_bytes(made)


def public_key() -> bytes:
    return signing_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def fingerprint(key: bytes | None = None) -> str:
    """Eight groups of four letters, for paper and telephone: SHA-256 of the public key, its first 16 bytes."""
    found = hashlib.sha256(key if key is not None else public_key()).hexdigest()[:32]
    return " ".join(found[at : at + 4] for at in range(0, 32, 4))


def _signed(name: str, words: str) -> bytes:
    return f"{FORMAT}\n{name}\n{words}".encode()


def _is_signed(key: bytes, name: str, line: Line) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(line.signature, _signed(name, line.words()))
    except (InvalidSignature, ValueError):
        return False
    return True


# --- files ----------------------------------------------------------------------------------------------------------


def database_name() -> str:
    """Server's and database's own numbers: a new database does not look like a forged old one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT system_identifier, oid FROM pg_control_system(), pg_database WHERE datname = current_database()")
        server, database = cursor.fetchone()
    return f"{server}-{database}"


def own_file() -> Path:
    """The installation's own copy: `seals/` of its folder. It only proves something when another machine has it too."""
    return Path(settings.HOME) / "seals" / f"{database_name()}.heads"


def epochs_used() -> int:
    """The highest epoch that the installation's own file, or a place where heads are kept, has seen."""
    paths = [own_file()]
    for named in settings.KEEP:
        try:
            paths.append(place(named))
        except Refused:
            pass  # not mounted: `keep` says so
    return max((at[0] for path in paths if path.exists() for at in read(path).lines), default=0)


def place(named: str) -> Path:
    """The file that a place elsewhere means: a file, or a folder that gets one file for each database.

    Refuses (`keep_place_missing`) a folder that is not there: a stick that was pulled out, a share that is not mounted.
    """
    path = Path(named).expanduser()
    folder = path if named.endswith("/") or path.is_dir() else path.parent
    if not folder.is_dir():
        raise Refused(
            "keep_place_missing", f"没有 {folder} 这个文件夹：没有挂上？", f"There is no folder {folder}: is it not mounted?", str(folder)
        )
    return folder / own_file().name if folder == path else path


def read(path: Path) -> Kept:
    """A file of heads. Refuses (`heads_unreadable`) what is no such file; a bad line is left out and named."""
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            return parse(file)
    except OSError as error:
        raise Refused("heads_unreadable", f"校验值文件读不懂：{error}", f"The file of heads is not readable: {error}", str(path)) from error


def parse(lines: Iterable[str]) -> Kept:
    kept = Kept()
    for number, text in enumerate(lines, 1):
        words = text.split()
        if not words or not text.endswith("\n") or text.startswith("#"):
            continue
        try:
            if text.startswith(FORMAT):
                kept.name, kept.key = words[2], bytes.fromhex(words[3])
            elif words[0] == "restored":
                kept.lost_after[int(words[1])] = min(int(words[2]), kept.lost_after.get(int(words[1]), int(words[2])))
            else:
                line = _line(words)
                if line.root is not None and (line.text() != text or not _is_signed(kept.key, kept.name, line)):
                    kept.unreadable.append((number, "its signature does not hold"))
                else:
                    kept.lines.setdefault(line.at, line)  # the first word counts: a chain written anew comes later
        except (ValueError, IndexError):
            kept.unreadable.append((number, "it is no head"))
    return kept


def _line(words: list[str]) -> Line:
    if len(words) == 3:
        return Line(int(words[0]), int(words[1]), _hash(words[2]))
    epoch, no, chain, root, upto, n_facts, when, signature = words
    return Line(
        int(epoch), int(no), _hash(chain), _hash(root), int(upto), int(n_facts), datetime.fromisoformat(when),
        base64.b64decode(signature, validate=True),
    )  # fmt: skip


def _hash(text: str) -> bytes:
    found = bytes.fromhex(text)
    if len(found) != 32:
        raise ValueError("a hash has 32 bytes")
    return found


def append(path: Path, texts: Iterable[str]) -> None:
    """Onto the disk, not only towards it: flushed, and the folder too when the file is new."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # a line that a crash cut off must not run into the next
                file.write(b"\n")
        file.write("".join(texts).encode())
        file.flush()
        os.fsync(file.fileno())
    if new:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


# --- keeping ----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Brought:
    """What a keeping added to a file. `lost`: how many seals that it has are known to be lost since a restore."""

    path: Path
    n_new: int
    last: Line | None
    lost: int = 0


def bring(path: Path | None = None, *, restored: bool = False) -> Brought:
    """Append the seals that a file does not have yet, signed now; on the disk when this returns. Worker's role.

    Refuses, and writes nothing, when the database's history is not the one that the file has (`heads_rewritten`), or
    ends before it (`heads_lost`). `restored`: the database was restored from a backup, its lost seals are marked as such.
    """
    path = path or own_file()
    kept = read(path) if path.exists() else Kept()
    name, key = database_name(), public_key()
    texts: list[str] = []
    if (kept.name, kept.key) != (name, key):
        if kept.name and kept.name != name:
            raise Refused(
                "heads_of_another",
                f"{path} 是另一个数据库（{kept.name}）的校验值。",
                f"{path} has the heads of another database ({kept.name}).",
                str(path),
            )
        texts.append(f"{FORMAT} {name} {key.hex()}\n")
    lost = _differs(kept, restored)
    texts += [f"restored {epoch} {no} {clock.real_now().isoformat(timespec='seconds')}\n" for epoch, no in lost.items()]
    kept.lost_after |= lost
    last = kept.last
    new = list(_lines_after(last.at if last else (0, 0), name))
    texts += [line.text() for line in new]
    if new or lost:
        append(path, texts)
    n_lost = sum(1 for at in kept.lines if kept.is_lost(at))
    return Brought(path, len(new), new[-1] if new else last, n_lost)


def _differs(kept: Kept, restored: bool) -> dict[int, int]:
    """Refuses a history that is not the kept one; with `restored` what is lost: epoch -> last number still there."""
    last = kept.last
    if last is None:
        return {}
    there = Seal.objects.filter(epoch=last.epoch, no=last.no).values_list("chain", flat=True).first()
    if there is not None and bytes(there) == last.chain:
        return {}
    chains = {(e, n): bytes(c) for e, n, c in Seal.objects.filter(epoch__lte=last.epoch).values_list("epoch", "no", "chain")}
    wrong = [at for at, line in sorted(kept.lines.items()) if not kept.is_lost(at) and chains.get(at) != line.chain]
    first = wrong[0]
    if first in chains:
        raise _rewritten(first)
    if not restored:
        raise Refused(
            "heads_lost",
            f"留存到第{last.epoch}期第{last.no}号，数据库里从第{first[0]}期第{first[1]}号起没有了："
            "尾部被截，或恢复了较早的备份（确是恢复的，加 --restored）。",
            f"Kept up to seal {last.epoch}/{last.no}; in the database {first[0]}/{first[1]} and later are gone: cut off, or an older"
            " backup was restored (if so, say --restored).",
            f"{first[0]}/{first[1]}",
        )
    return _lost(wrong)


def _rewritten(at: At) -> Refused:
    return Refused(
        "heads_rewritten",
        f"第{at[0]}期第{at[1]}号封存与留存的校验值不同：链被重写。请立即报告审计员。",
        f"Seal {at[0]}/{at[1]} is not the one that was kept: the chain was rewritten. Tell the auditor now.",
        f"{at[0]}/{at[1]}",
    )


def _lost(missing: list[At]) -> dict[int, int]:
    """Epoch -> the last number before what is missing of it. `missing` in order."""
    found: dict[int, int] = {}
    for epoch, no in missing:
        found.setdefault(epoch, no - 1)
    return found


def _lines_after(at: At, name: str) -> Iterator[Line]:
    key = signing_key()
    found = Seal.objects.defer("leaves").order_by("epoch", "no")
    later = found.filter(epoch=at[0], no__gt=at[1]).union(found.filter(epoch__gt=at[0]), all=True) if at[0] else found
    for s in sorted(later.values_list("epoch", "no", "chain", "root", "upto", "n_facts", "sealed_at")):
        epoch, no, chain, root, upto, n_facts, sealed_at = s
        line = Line(epoch, no, bytes(chain), bytes(root), upto, n_facts, sealed_at)
        yield dataclasses.replace(line, signature=key.sign(_signed(name, line.words())))


def receive(came: Kept, path: Path, *, restored: bool = False, new_key: bool = False) -> Brought:
    """As a witness: take the heads of another installation, when they continue what is kept of it. Needs no database.

    Refuses, and keeps what it has: a line whose signature does not hold or that is no head (`heads_unreadable`), another
    signing key (`heads_key`, unless `new_key`), a link that does not follow (`heads_broken`), a history that differs
    from the kept one (`heads_rewritten`), one that ends before it (`heads_lost`, unless it goes on in a new epoch after
    a restore and somebody here said `restored`: what the sender itself calls lost is lost for the sender only).
    """
    if came.unreadable or not came.key or any(line.root is None for line in came.lines.values()):
        number, why = came.unreadable[0] if came.unreadable else (1, "it is not signed")
        raise Refused(
            "heads_unreadable", f"送来的校验值第{number}行不成立：{why}", f"Line {number} of the heads that came does not hold: {why}"
        )
    kept = read(path) if path.exists() else Kept()
    if kept.key and kept.key != came.key and not new_key:
        raise Refused(
            "heads_key",
            f"签名密钥换了：原来是 {fingerprint(kept.key)}，来的是 {fingerprint(came.key)}。电话核实后加 --new-key。",
            f"Another key signs: it was {fingerprint(kept.key)}, now {fingerprint(came.key)}. Ask by telephone, then say --new-key.",
        )
    for at in sorted(kept.lines.keys() & came.lines.keys()):
        if kept.lines[at].chain != came.lines[at].chain:
            raise _rewritten(at)
    _refuse_broken(came)
    there = {at: line for at, line in came.lines.items() if not came.is_lost(at)}
    missing = sorted(at for at in kept.lines.keys() - there.keys() if not kept.is_lost(at))
    if missing and not (restored and max(there, default=(0, 0)) > missing[-1]):
        raise Refused(
            "heads_lost",
            f"这里留有第{missing[0][0]}期第{missing[0][1]}号，送来的没有："
            "尾部被截、副本过旧，或恢复了较早的备份（确是恢复的，加 --restored）。",
            f"Seal {missing[0][0]}/{missing[0][1]} is kept here and did not come: cut off, an old copy, or an older backup was restored"
            " (if so, say --restored).",
            f"{missing[0][0]}/{missing[0][1]}",
        )
    lost = _lost(missing)
    new = [there[at] for at in sorted(there.keys() - kept.lines.keys())]
    texts = [] if (kept.name, kept.key) == (came.name, came.key) else [f"{FORMAT} {came.name} {came.key.hex()}\n"]
    texts += [f"restored {epoch} {no} {clock.real_now().isoformat(timespec='seconds')}\n" for epoch, no in lost.items()]
    if new or lost:
        append(path, [*texts, *(line.text() for line in new)])
    kept.lines |= there
    kept.lost_after |= lost
    return Brought(path, len(new), kept.last, sum(1 for at in kept.lines if kept.is_lost(at)))


def _refuse_broken(came: Kept) -> None:
    """Each link is computed anew from the one before it, from the very first."""
    before, at = seals.START, (1, 0)
    for line in (came.lines[key] for key in sorted(came.lines) if not came.is_lost(key)):
        next_one = line.at == (at[0], at[1] + 1) or (line.epoch > at[0] and line.no == 1)
        if not next_one or not line.follows(before):
            raise Refused(
                "heads_broken",
                f"第{line.epoch}期第{line.no}号封存接不上前一号。",
                f"Seal {line.epoch}/{line.no} does not follow the one before it.",
                f"{line.epoch}/{line.no}",
            )
        before, at = line.chain, line.at


def gaps(kept: Kept) -> list[Gap]:
    """Lines of a keeper's file that are damaged themselves."""
    return [
        Gap(
            "seal_broken",
            f"heads line {number}",
            f"留存的校验值第{number}行损坏：{why}",
            f"line {number} of the kept heads is damaged: {why}",
        )
        for number, why in kept.unreadable
    ]
