"""The disk is lost, and the city goes on from its backup: small, on a server of its own. With figures: `bihuan drill restore`."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bihuan.kernel import sealed
from bihuan.kernel.refused import Refused

REPO = Path(__file__).resolve().parents[2]
KEY = bytes(range(32))


@pytest.mark.skipif(sys.platform != "linux" or bool(os.environ.get("DATABASE_URL")), reason="kills the embedded server by /proc")
def test_a_lost_disk_is_restored_and_everything_holds(tmp_path_factory) -> None:
    """Processes of their own: the server that is killed is not the tests'."""
    environment = os.environ | {"PYTHONPATH": str(REPO / "src")}
    for name in ("BIHUAN_DATABASE", "BIHUAN_PGDATA"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "bihuan", "drill", "restore", "--rows", "60", "--steps", "2", "--records", "5", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.stdout, done.stderr
    said = json.loads(done.stdout)
    assert [name for name, holds in said["checks"].items() if not holds] == [], said["examples"]
    assert len(said["checks"]) > 10
    assert done.returncode == 0


def _sealed(plain: bytes) -> bytes:
    out = io.BytesIO()
    assert sealed.write(io.BytesIO(plain), out, KEY) == len(plain)
    return out.getvalue()


@pytest.mark.parametrize("size", [0, 1, sealed.PIECE_BYTES, sealed.PIECE_BYTES * 2 + 7])
def test_what_was_sealed_comes_back(size: int) -> None:
    plain = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    whole = _sealed(plain)
    assert b"".join(sealed.pieces(io.BytesIO(whole), KEY)) == plain
    reader = sealed.Reader(io.BytesIO(whole), KEY)
    assert reader.read(5) + reader.read() == plain


def test_a_sealed_file_that_was_cut_changed_or_lengthened_does_not_open() -> None:
    whole = _sealed(os.urandom(sealed.PIECE_BYTES + 100))
    first_piece = len(sealed.MAGIC) + 16 + 4 + int.from_bytes(whole[len(sealed.MAGIC) + 16 :][:4], "big")
    flipped = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in (0, 20, 40, first_piece + 10, len(whole) - 1)]
    for damaged in [whole[:-1], whole[:first_piece], whole + b"x", *flipped]:
        with pytest.raises(ValueError, match=r"."):
            list(sealed.pieces(io.BytesIO(damaged), KEY))
    with pytest.raises(ValueError, match="another key"):
        list(sealed.pieces(io.BytesIO(whole), bytes(32)))


def test_a_backup_goes_nowhere_without_a_folder_or_a_key(tmp_path, monkeypatch) -> None:
    from bihuan.site import backup, restore

    monkeypatch.setenv("BIHUAN_MASTER_KEY", str(tmp_path / "master.key"))
    monkeypatch.delenv("BIHUAN_BACKUP", raising=False)
    for named, code in ((None, "backup_nowhere"), (tmp_path / "stick", "backup_place_missing")):
        with pytest.raises(Refused, match=code):
            backup.folder(named)
    with pytest.raises(Refused, match="master_key_missing"):
        backup.key()
    assert not (tmp_path / "master.key").exists(), "a new key would open nothing"
    with pytest.raises(Refused, match="backup_none"):
        restore.unpack(backup.folder(tmp_path), tmp_path / "data")


def test_the_log_goes_with_the_last_copy_that_needs_it(tmp_path) -> None:
    from datetime import timedelta

    from bihuan.kernel import clock
    from bihuan.site import backup

    place, now = backup.folder(tmp_path), clock.real_now()
    for days, segment in ((40, "000000010000000000000003"), (20, "000000010000000000000007"), (10, "000000020000000000000009")):
        ended = now - timedelta(days=days)
        base = backup.Base(f"{days}", ended, ended, "1", segment, "k", 1, "h", 1.0)
        (place / "base" / f"{days}.json").write_text(json.dumps(base.as_json()))
        (place / "base" / f"{days}.base").touch()
    for no in range(2, 12):
        (place / "wal" / f"00000001{no:016X}.wal").touch()
    backup.prune(place, 30)
    assert [base.name for base in backup.listed(place)] == ["20", "10"]
    assert [path.name[8:24] for path in backup.segments(place)] == [f"{no:016X}" for no in range(7, 12)]
    backup.prune(place, 0)
    assert [base.name for base in backup.listed(place)] == ["10"], "the newest always stays"
