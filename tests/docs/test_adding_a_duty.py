"""The steps of CONTRIBUTING.md, "Adding a duty", followed to the letter in a copy of the tree.

Each block's first line names its file and place; blocks of commands are run. What is written there must be enough: a
step that is missing or wrong fails here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "packs", "data", "docs", "tests")
FILES = ("GLOSSARY.md", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "pyproject.toml", "bihuan")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
_PLACE = re.compile(r"(?:# |<!-- )(?P<file>\S+), (?P<where>at the end|a new file|after the line \"(?P<after>.+)\")(?: -->)?")


@dataclass(frozen=True)
class Step:
    """Commands to run, or a text for a place in a file."""

    commands: tuple[str, ...] = ()
    file: str = ""
    where: str = ""
    after: str = ""
    text: str = ""


def steps() -> list[Step]:
    section = re.search(r"^## Adding a duty\n(.*?)^## ", (REPO / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.M | re.S)
    assert section, "CONTRIBUTING.md has no section “Adding a duty”"
    found = []
    for language, body in _BLOCK.findall(section[1]):
        if language == "sh":
            found.append(Step(commands=tuple(body.split("\n")[:-1])))
            continue
        first, _, text = body.partition("\n")
        place = _PLACE.fullmatch(first)
        assert place, f"the block does not say where it belongs: {first}"
        found.append(Step(file=place["file"], where=place["where"], after=place["after"] or "", text=text))
    return found


def apply(step: Step, tree: Path) -> None:
    file = tree / step.file
    if step.where == "a new file":
        assert not file.exists(), f"{step.file} is there already"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(step.text, encoding="utf-8")
        return
    old = file.read_text(encoding="utf-8")
    if step.where == "at the end":
        gap = "\n\n" if step.file.endswith(".py") else ""
        file.write_text(old.rstrip("\n") + "\n" + gap + step.text, encoding="utf-8")
        return
    lines = old.splitlines(keepends=True)
    places = [no for no, line in enumerate(lines) if line.startswith(step.after)]
    assert len(places) == 1, f"{step.file}: {len(places)} lines begin with {step.after!r}"
    lines.insert(places[0] + 1, step.text)
    file.write_text("".join(lines), encoding="utf-8")


def run(command: str, tree: Path, home: Path) -> str:
    """A command of the launcher, with the libraries that this test runs on and a folder and server of its own."""
    program, *arguments = command.split()
    assert program == "./bihuan", command
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BIHUAN_")}
    environment |= {"PYTHONPATH": str(tree / "src"), "BIHUAN_HOME": str(home)}
    if arguments[0] != "test":  # on the server that its tests will use: one server less to make
        environment |= {"BIHUAN_HOME": str(home / "test-home"), "BIHUAN_PGDATA": str(home / "test-pg")}
    done = subprocess.run(
        [sys.executable, "-m", "bihuan", *arguments], cwd=tree, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own: as root the database runs as another user, whom pytest shuts out of its folders."""
    made = Path(tempfile.mkdtemp(prefix="bihuan-steps-"))
    yield made
    run("./bihuan db stop", made / "bihuan", made / "home")
    shutil.rmtree(made)


@pytest.fixture
def tree(folder: Path) -> Path:
    copy = folder / "bihuan"
    copy.mkdir()
    for name in (*FOLDERS, *FILES):
        source = REPO / name
        if source.is_dir():
            shutil.copytree(source, copy / name)  # with what is compiled: each command would compile all of it anew
        elif source.exists():
            shutil.copy2(source, copy / name)
    return copy


def test_the_steps_lead_to_a_duty_that_opens_and_closes(tree, folder):
    home = folder / "home"
    said: dict[str, str] = {}
    for step in steps():
        if step.commands:
            said |= {command: run(command, tree, home) for command in step.commands}
        else:
            apply(step, tree)
    # What the reader must have seen on the way.
    assert "closes leads.treat" in said["./bihuan loops explain leads.treatment_arranged"]
    assert "opens leads.treat" in said["./bihuan loops explain leads.lead_verified"]
    assert any("passed" in out and "failed" not in out for command, out in said.items() if command.startswith("./bihuan test"))


def test_the_readme_names_the_same_files_as_the_steps():
    readme = (REPO / "README.md").read_text(encoding="utf-8")
    files = {step.file for step in steps() if step.file and "migrations" not in step.file}
    assert [file for file in sorted(files) if f"`{Path(file).name}`" not in readme] == []
