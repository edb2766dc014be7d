"""What can be declared is described: facts, duties, permissions, settings, jobs, commands, codes, pack fields."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
REFERENCE = REPO / "docs" / "reference"


def bihuan(*arguments: str, database: str = "") -> str:
    """A command in a process of its own: without the toy declarations of other tests."""
    environment = os.environ | {"PYTHONPATH": str(REPO / "src")} | ({"BIHUAN_DATABASE": database} if database else {})
    command = [sys.executable, "-m", "bihuan", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.stdout, done.stderr
    return done.stdout


def test_everything_declared_is_described_and_the_tables_are_fresh():
    answer = json.loads(bihuan("docs", "--check", "--json"))
    assert answer["missing"] == []
    assert answer["pages"] == [], "run ./bihuan docs"


def test_the_printed_effects_of_facts_are_those_of_the_page(city):
    out = bihuan("loops", "explain", database=city)
    page = (REFERENCE / "loops.md").read_text(encoding="utf-8")
    printed = re.search(r"```\n(.*?)\n```", page, re.S)
    assert printed is not None
    assert [line.rstrip() for line in out.splitlines()] == printed[1].splitlines()


def test_each_fact_and_duty_stands_in_the_glossary():
    glossary = (REPO / "GLOSSARY.md").read_text(encoding="utf-8")
    pages = [(REFERENCE / page).read_text(encoding="utf-8") for page in ("facts.md", "loops.md")]
    named = {name for page in pages for name in re.findall(r"^\| `([a-z]+\.[a-z_]+)`", page, re.M)}
    assert len(named) > 20
    assert sorted(name for name in named if f"`{name}`" not in glossary) == []


def test_pack_fields_of_leads_are_explained_on_the_page_of_policy():
    page = (REPO / "docs" / "modules" / "policy.md").read_text(encoding="utf-8")
    fields = re.findall(r"^\| `Lead\.([a-z_]+)`", (REFERENCE / "packs.md").read_text(encoding="utf-8"), re.M)
    assert len(fields) > 10
    assert [field for field in fields if f"`{field}`" not in page] == []


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in [*REPO.glob("*.md"), *REPO.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(REPO)} -> {target}")
    assert broken == []


def test_what_the_pages_of_floors_name_is_there():
    """`handle.offer` on the page of loops is a name in loops/handle.py."""
    lost = []
    for page in (REPO / "docs" / "modules").glob("*.md"):
        for module, name in re.findall(r"`([a-z_]+)\.([A-Za-z_]+)", page.read_text(encoding="utf-8")):
            file = REPO / "src" / "bihuan" / page.stem / f"{module}.py"
            if name != "py" and file.exists() and not re.search(rf"\b{name}\b", file.read_text(encoding="utf-8")):
                lost.append(f"{page.stem}: {module}.{name}")
    assert lost == []
