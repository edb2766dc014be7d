"""`regions recode | close-unit | units`: the map of command changes, and open duties follow."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from bihuan.site.cli import Run, command


def register(cli: click.Group) -> None:
    @cli.group("regions")
    def regions() -> None:
        """辖区和单位 / places and units."""

    @command(regions, "units", role="work")
    @click.argument("text")
    def units(run: Run, text: str) -> dict[str, Any]:
        """按名称查单位编号、地区编号和区划代码 / units whose name holds TEXT: number, name, kind, number and code of the region."""
        from bihuan.regions.models import Unit

        rows = [
            {"unit": u.id, "name": u.name, "kind": u.kind, "region": u.region_id, "division": u.region.division_code}
            for u in Unit.objects.select_related("region").filter(name__contains=text).order_by("id")[:50]
        ]
        for row in rows:
            run.say(f"{row['unit']}  {row['name']}  {row['kind']}  地区 / region {row['region']}  {row['division']}")
        return {"ok": True, "units": rows}

    @command(regions, "recode", role="work", acts=True)
    @click.argument("region", type=int)
    @click.argument("scope", type=int)
    def recode(run: Run, region: int, scope: int) -> dict[str, Any]:
        """自今天起把 REGION（编号或12位区划代码，含下级）划到新代码 SCOPE / put a region (number or 12-digit code) under another code."""
        from bihuan.access import queries as access
        from bihuan.kernel import ids
        from bihuan.loops import jurisdiction
        from bihuan.regions import queries

        region = queries.by_division([region]).get(region, region)
        done = jurisdiction.recode(by=access.post_of(run.as_login), region=region, new_scope=scope, act=ids.new_id())
        run.say(f"{done.n_rescoped} 件事项换了辖区代码，{done.n_reassigned} 件换了承办单位")
        return {"ok": True, **dataclasses.asdict(done)}

    @command(regions, "close-unit", role="work", acts=True)
    @click.argument("unit", type=int)
    @click.argument("successor", type=int)
    def close_unit(run: Run, unit: int, successor: int) -> dict[str, Any]:
        """撤销单位 UNIT，事项由 SUCCESSOR 承办 / end a unit; its successor owns its open duties."""
        from bihuan.access import queries as access
        from bihuan.kernel import ids
        from bihuan.loops import jurisdiction

        done = jurisdiction.close_unit(by=access.post_of(run.as_login), unit=unit, successor=successor, act=ids.new_id())
        run.say(f"{done.n_reassigned} 件事项由接续单位承办")
        return {"ok": True, **dataclasses.asdict(done)}
