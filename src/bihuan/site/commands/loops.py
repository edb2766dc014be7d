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
    @click.option("--event", type=int, help="只看一个事件 / of one event only")
    @click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
    def overdue(run: Run, event: int | None, limit: int) -> dict[str, Any]:
        """超时的事项，按事件和单位 / late duties by event and unit, and the desks that were asked to help."""
        from django.db import connection

        from bihuan.kernel import clock
        from bihuan.kernel.refused import Refused
        from bihuan.policy.models import Event

        events = dict(Event.objects.values_list("id", "name"))
        if event is not None and event not in events:
            known = "、".join(f"{no} {name}" for no, name in sorted(events.items()))
            raise Refused("event_unknown", f"没有编号为 {event} 的事件；有的是：{known}", f"there is no event {event}; there are: {known}")
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT l.event, u.id, u.name, l.kind, count(*), min(l.due_at), max(coalesce(f.level, 0))
                FROM loop l JOIN unit u ON u.id = l.owner
                LEFT JOIN LATERAL (SELECT max(level) AS level FROM fired WHERE loop = l.id) f ON true
                WHERE l.closed_at IS NULL AND l.due_at < %(now)s AND (%(event)s::int IS NULL OR l.event = %(event)s)
                GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 4 LIMIT %(limit)s
                """,
                {"now": clock.now(), "event": event, "limit": limit},
            )
            names = ("event", "unit", "name", "kind", "late", "oldest_due_at", "level")
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        several = len({row["event"] for row in rows}) > 1
        for row in rows:
            oldest = f"{row['oldest_due_at'].astimezone(clock.SHANGHAI):%m-%d %H:%M}"
            told = [row["name"], row["kind"], str(row["late"]), oldest, str(row["level"])]
            run.say("  ".join([*told, events[row["event"]]] if several else told))
        return {"ok": True, "overdue": rows}
