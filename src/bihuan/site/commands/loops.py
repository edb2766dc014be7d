"""`loops explain | overdue`: what facts do to duties, and which duties are late."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from bihuan.site.cli import Run, command

_VERBS = {"opens": "开", "closes": "办结", "extends": "顺延", "works": "办理"}


def register(cli: click.Group) -> None:
    @cli.group("loops")
    def loops() -> None:
        """待办事项 / duties."""

    @command(loops, "explain")
    @click.argument("fact", required=False)
    def explain(run: Run, fact: str | None) -> dict[str, Any]:
        """一种办理记录开什么、办结什么、顺延什么 / what a kind of FACT opens, closes, moves; all of them if left out."""
        from bihuan.loops import explain as explained

        if fact is None:
            rows = explained.table()
            for row in rows:
                run.say("  ".join(row))
            return {"ok": True, "effects": [dict(zip(("fact", "does", "duty", "reads"), row, strict=True)) for row in rows]}
        effects = explained.effects(fact)
        for effect in effects:
            depends = f"（看 {', '.join(effect.reads)}）" if effect.reads else ""
            run.say(f"{fact} {_VERBS[effect.does]} / {effect.does} {effect.duty} {effect.title}{depends}")
        return {"ok": True, "fact": fact, "effects": [dataclasses.asdict(e) for e in effects]}

    @command(loops, "overdue", role="work")
    @click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
    def overdue(run: Run, limit: int) -> dict[str, Any]:
        """超时的事项，按单位 / late duties by unit, and the desks that were asked to help."""
        from django.db import connection

        from bihuan.kernel import clock

        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT u.id, u.name, l.kind, count(*), min(l.due_at), max(coalesce(f.level, 0)) FROM loop l JOIN unit u ON u.id = l.owner
                LEFT JOIN LATERAL (SELECT max(level) AS level FROM fired WHERE loop = l.id) f ON true
                WHERE l.closed_at IS NULL AND l.due_at < %s GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 3 LIMIT %s
                """,
                (clock.now(), limit),
            )
            names = ("unit", "name", "kind", "late", "oldest_due_at", "level")
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        for row in rows:
            run.say(
                f"{row['name']}  {row['kind']}  {row['late']}  {row['oldest_due_at'].astimezone(clock.SHANGHAI):%m-%d %H:%M}  {row['level']}"  # noqa: E501
            )
        return {"ok": True, "overdue": rows}
