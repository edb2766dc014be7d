"""What must not stand in a repository that strangers clone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
# Written in parts, so that this file does not find itself.
_HOMES = "|".join(("ho" + "me/[a-z]", "ro" + "ot/", "wo" + r"rk/(?:main|shared|\.)", "Us" + "ers/"))
_INDEXES = (
    "files.python" + "hosted", "py" + r"pi\.(?:org|tuna)", "registry.npm" + "js", "npm" + "mirror", r"mirrors\.[a-z]+\.(?:com|edu|cn)",
)  # fmt: skip
_UNDONE = "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X"))
FORBIDDEN = {
    "a path of somebody's machine": re.compile(rf"(?<![\w.$}}/-])/(?:{_HOMES})"),
    "a host of a package index": re.compile("|".join((*_INDEXES, r"index-url\s*="))),
    "work left undone": re.compile(rf"\b(?:{_UNDONE})\b"),
    "a conflict of a merge": re.compile(r"^(?:<{7}|>{7}) ", re.M),
}
TEXT = {".py", ".md", ".toml", ".html", ".css", ".js", ".svg", ".txt", ".in", ".lock", ".sql", ".po", ".sh", ".cfg", ""}
BYTES_MAX = 8 * 1024 * 1024


def files() -> list[Path]:
    """What a clone would contain; without git, everything but caches and data."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return [REPO / name for name in listed.stdout.split("\0") if name and (REPO / name).is_file()]
    hidden = {".venv", "var", "__pycache__", ".git", ".pytest_cache", ".ruff_cache", ".hypothesis", ".venv.lock"}
    return [f for f in REPO.rglob("*") if f.is_file() and not hidden & set(f.relative_to(REPO).parts)]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what):
    found = []
    for file in files():
        if file.suffix in TEXT and file.name != "LICENSE":
            text = file.read_text(encoding="utf-8", errors="replace")
            found += [f"{file.relative_to(REPO)}:{text.count(chr(10), 0, m.start()) + 1}" for m in FORBIDDEN[what].finditer(text)]
    assert found[:20] == []


def test_no_file_is_too_large_for_a_clone():
    assert [str(f.relative_to(REPO)) for f in files() if f.stat().st_size > BYTES_MAX] == []


def test_the_pictures_of_the_readme_are_light():
    pictures = list((REPO / "docs" / "img").glob("*.png"))
    assert [p.name for p in pictures if p.stat().st_size > 300_000] == []


def test_no_list_with_people_is_kept_here():
    """Lists are made by the generator: a workbook in the repository may hold somebody's number."""
    assert [str(f.relative_to(REPO)) for f in files() if f.suffix in {".xlsx", ".xls", ".xlsm", ".docx"}] == []


def test_every_lock_has_hashes_and_no_address():
    for lock in (REPO / "requirements").glob("*.lock"):
        text = lock.read_text(encoding="utf-8")
        pinned = re.findall(r"^[a-z0-9._-]+==", text, re.M | re.I)
        assert pinned, lock.name
        assert "://" not in text
        assert text.count("--hash=sha256:") >= len(pinned)
