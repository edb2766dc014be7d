"""The tables of `docs/reference`, written from what is declared: facts, duties, permissions, settings, commands, codes, packs, jobs.

What a name means to people stands in `docs/reference/words.toml`, by hand, because no program knows it; everything else
comes from the declarations themselves. `bihuan docs` writes the pages, `bihuan docs --check` and a test compare them.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import click

from bihuan.site.home import REPO, SOURCE

FOLDER = REPO / "docs" / "reference"
WORDS = FOLDER / "words.toml"
_HEAD = "<!-- Written by `./bihuan docs`; do not edit. Words: words.toml. -->\n\n"
_SETTING = re.compile(r"\b(?:BIHUAN_[A-Z]+(?:_[A-Z]+)*|DATABASE_URL)\b")


@dataclass(frozen=True)
class Missing:
    """Something declared that nobody described, or a description of something that is no more."""

    part: str
    name: str
    why: str


def words() -> dict[str, dict[str, dict[str, str]]]:
    return tomllib.loads(WORDS.read_text(encoding="utf-8"))


def facts() -> list[str]:
    from bihuan.ledger import kinds

    return sorted(kinds.kinds())


def duties() -> list[str]:
    from bihuan.loops import declare

    return sorted(declare.kinds())


def permissions() -> list[str]:
    from bihuan.access.permissions import Permission

    return [p.value for p in Permission]


def settings() -> list[str]:
    """Every name of the environment that the product reads."""
    files = [REPO / "bihuan", *SOURCE.rglob("*.py")]
    return sorted({name for file in files for name in _SETTING.findall(file.read_text(encoding="utf-8"))})


def jobs() -> list[tuple[str, float]]:
    from bihuan.site import worker

    return [(job.name, job.every) for job in worker.jobs()]


def missing() -> list[Missing]:
    """What lacks words, and words that describe nothing."""
    described = words()
    found = []
    declared = {
        "facts": facts(), "duties": duties(), "permissions": permissions(), "settings": settings(), "jobs": [n for n, _ in jobs()],
    }  # fmt: skip
    for part, names in declared.items():
        known = described.get(part, {})
        found += [Missing(part, name, "nobody says what it means") for name in names if not {"zh", "en"} <= known.get(name, {}).keys()]
        found += [Missing(part, name, "there is no such thing any more") for name in known if name not in names]
    found += [Missing("commands", name, "no line of help") for name, command in commands() if not command.help]
    return found


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command of the launcher as one types it."""
    from bihuan.site.cli import cli

    def walk(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
        for name, command in sorted(group.commands.items()):
            yield f"{prefix}{name}", command
            if isinstance(command, click.Group):
                yield from walk(command, f"{prefix}{name} ")

    yield from walk(cli, "")


def codes() -> dict[str, tuple[str, str, set[str]]]:
    """Refusals by code: the sentence in both languages (… for what varies) and the floors that raise it."""
    found: dict[str, tuple[str, str, set[str]]] = {}

    def add(code: ast.expr, zh: ast.expr | None, en: ast.expr | None, file: str) -> None:
        for one in (code.body, code.orelse) if isinstance(code, ast.IfExp) else (code,):
            if not (isinstance(one, ast.Constant) and isinstance(one.value, str)):
                continue
            entry = found.setdefault(one.value, (_sentence(zh), _sentence(en), set()))
            entry[2].add(file)

    for path in sorted(SOURCE.rglob("*.py")):
        if "migrations" in path.parts:
            continue
        name = path.relative_to(SOURCE).parts[0]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assigned = {t.id: n.value for n in ast.walk(tree) if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in ("Refused", "Problem"):
                arguments = node.args[1:] if getattr(node.func, "id", "") == "Problem" else node.args
                if len(arguments) >= 3:
                    code = assigned.get(arguments[0].id, arguments[0]) if isinstance(arguments[0], ast.Name) else arguments[0]
                    add(code, *arguments[1:3], name)
    from bihuan.intake import reasons

    for code, sentence in reasons.SENTENCES.items():
        found.setdefault(code, (sentence.zh, sentence.en, set()))[2].add("intake")
    return dict(sorted(found.items()))


def _sentence(node: ast.expr | None) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(p.value if isinstance(p, ast.Constant) else "…" for p in parts)
        case ast.IfExp(body=body):
            return _sentence(body)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _sentence(left) + _sentence(right)
        case _:
            return "…"


# --- pages ----------------------------------------------------------------------------------------------------------


def pages() -> dict[str, str]:
    """The pages by file name, as they should be."""
    made = {
        "facts.md": _facts_page, "loops.md": _loops_page, "permissions.md": _permissions_page, "settings.md": _settings_page,
        "commands.md": _commands_page, "codes.md": _codes_page, "packs.md": _packs_page, "jobs.md": _jobs_page,
    }  # fmt: skip
    return {name: _HEAD + page().rstrip() + "\n" for name, page in made.items()}


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(head)
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        lines.append(f"| {' | '.join(_cell(value) for value in row)} |")
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _words(part: str, name: str) -> tuple[str, str]:
    found = words().get(part, {}).get(name, {})
    return found.get("zh", ""), found.get("en", "")


def _facts_page() -> str:
    from bihuan.ledger import kinds

    text = "# Kinds of facts\n\nA fact is what happened, when, who says so; it is appended and never changed.\n"
    text += "`key` tells which occurrence a duty is about.\n\n"
    rows = []
    for name in facts():
        kind = kinds.kind(name)
        fields = ", ".join(f"`{f.name}` {f.sql_type}" for f in kind.fields)
        rows.append([f"`{name}`", *_words("facts", name), f"`{kind.table}`", f"`{kind.key}`" if kind.key else "", fields])
    return text + _table(("fact", "中文", "meaning", "table", "key", "details"), rows)


def _loops_page() -> str:
    from bihuan.loops import declare, explain

    text = "# Kinds of duties\n\nA duty has one owner at every instant and a deadline from the pack.\n"
    text += "It closes only by a fact named here, or by a signed waiver.\n\n"
    rows = []
    for name in duties():
        kind = declare.kind(name)
        due = f"after `{kind.due.base}`" if kind.due else "none"
        opens, closes = (", ".join(f"`{k.name}`" for k in kinds) for kinds in (kind.opens, kind.closes))
        owner = ", ".join(f"`{r}`" for r in kind.owner.reads) or "the city's desk"
        rows.append([f"`{name}`", kind.title, *_words("duties", name), opens, owner, due, closes])
    text += _table(("duty", "页面", "中文", "meaning", "opened by", "owner reads", "deadline", "closed by"), rows)
    text += "\n## What each fact does\n\nThe same as `bihuan loops explain` prints.\n\n```\n"
    text += "\n".join("  ".join(row).rstrip() for row in explain.table())
    return text + "\n```\n"


def _permissions_page() -> str:
    from bihuan.access.permissions import Permission, Role

    text = "# Permissions and roles\n\nA role belongs to a post, never to a person.\n"
    text += "The database repeats the limits of place by row-level security.\n\n"
    rows = [[f"`{p.value}`", *_words("permissions", p.value), *("●" if p in role.permissions else "" for role in Role)] for p in Permission]
    text += _table(("permission", "中文", "meaning", *(f"`{role.value}`" for role in Role)), rows)
    text += "\n" + _table(("role", "岗位", "做什么"), ([f"`{role.value}`", role.label, role.sentence] for role in Role))
    return text


def _settings_page() -> str:
    text = "# Settings\n\nAll come from the environment; all have a default that works.\n\n"
    return text + _table(("name", "中文", "meaning"), ([f"`{name}`", *_words("settings", name)] for name in settings()))


def _commands_page() -> str:
    text = "# Commands\n\n`./bihuan COMMAND`; each sets up what is missing. All that print a result take `--json`.\n\n"
    rows = []
    for name, command in commands():
        if isinstance(command, click.Group) and not command.invoke_without_command:
            continue
        given = []
        for parameter in command.params:
            if isinstance(parameter, click.Argument):
                given.append(f"`{parameter.make_metavar(click.Context(command))}`")
            elif parameter.name != "as_json":
                given.append(f"`{parameter.opts[0]}`")
        rows.append([f"`{name}`", (command.help or "").split("\n\n")[0].replace("\n", " "), " ".join(given)])
    return text + _table(("command", "做什么 / what", "arguments"), rows)


def _codes_page() -> str:
    text = (
        "# Codes of refusals\n\nA refusal has a sentence for the officer and a stable code for the machine. `…` stands for what varies.\n"
        "Reasons for which a row of a list is refused are counted in this order: "
    )
    from bihuan.intake import reasons

    text += ", ".join(f"`{code}`" for code in reasons.ORDER) + ".\n\n"
    rows = ([f"`{code}`", zh, en, ", ".join(f"`{f}`" for f in sorted(files))] for code, (zh, en, files) in codes().items())
    return text + _table(("code", "中文", "English", "where"), rows)


def _packs_page() -> str:
    from bihuan.policy import document

    text = "# Fields of packs\n\nThe shape of a file in `packs/`; for what each part is: [modules/policy.md](../modules/policy.md).\n\n"
    rows = []
    for model in (document.Document, document.Lead, document.Overlay):
        for name, field in model.model_fields.items():
            mark = next((m for m in field.metadata if isinstance(m, document.Mark)), None)
            needed = "yes" if field.is_required() else ""
            rows.append([f"`{model.__name__}.{name}`", *((mark.zh, mark.en, mark.stricter) if mark else ("", "", "")), needed])
    return text + _table(("field", "中文", "meaning", "stricter when", "required"), rows)


def _jobs_page() -> str:
    text = "# Jobs of the worker\n\nEach leaves a line in `job_run` (`name`, `started_at`, `finished_at`, `error`).\n\n"
    return text + _table(("job", "every", "中文", "meaning"), ([f"`{n}`", f"{every:g} s", *_words("jobs", n)] for n, every in jobs()))


def stale() -> list[str]:
    """Names of pages that differ from what they should be."""
    return [name for name, text in pages().items() if not (FOLDER / name).exists() or (FOLDER / name).read_text(encoding="utf-8") != text]


def write() -> list[str]:
    """Write what is stale; the names."""
    changed = stale()
    for name, text in pages().items():
        if name in changed:
            (FOLDER / name).write_text(text, encoding="utf-8")
    return changed
