"""`demo`, `serve`, `work`: a running installation."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.util import find_spec

import click

from bihuan.kernel.refused import Refused
from bihuan.site import guard, postgres, process, serve, setup
from bihuan.site.cli import Run, command
from bihuan.site.home import FLOORS, home, say

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "min": "minutes", "s": "seconds"}


def parse_span(text: str) -> timedelta:
    """`1h`, `90m`, `1d12h` -> timedelta. Refused when it is none of these."""
    parts = re.findall(r"(\d+)\s*(min|[dhms])", text.strip().lower())
    if not parts or "".join(n + u for n, u in parts) != re.sub(r"\s", "", text.strip().lower()):
        raise Refused(
            "span_unreadable", f"看不懂的时长“{text}”，请写成 1h、90m 或 1d12h。", f"“{text}” is no span: write 1h, 90m or 1d12h."
        )
    return sum((timedelta(**{_UNITS[u]: int(n)}) for n, u in parts), timedelta())


def _url() -> str:
    return f"http://localhost:{serve.port()}"


def _demo_module() -> object | None:
    return import_module("bihuan.site.demo") if find_spec("bihuan.site.demo") else None


def _heartbeat() -> None:
    (home() / "demo-alive").touch()


def _thaw() -> None:
    """The demonstration's clock goes on from where it stopped; after a kill, from the last sign of life."""
    if "policy" not in FLOORS:
        return
    from bihuan.policy import installation
    from bihuan.policy.models import Installation

    row = Installation.objects.filter(pk=1, mode=Installation.Mode.DEMO).first()
    if row is None:
        return
    alive = home() / "demo-alive"
    if row.frozen_at is None and alive.exists():
        seen = datetime.fromtimestamp(alive.stat().st_mtime, UTC)
        Installation.objects.filter(pk=1, frozen_at=None).update(frozen_at=seen + row.clock_offset)
        installation.forget()
    installation.thaw()


def _freeze() -> None:
    if "policy" not in FLOORS:
        return
    from django.db import connection

    from bihuan.policy import installation
    from bihuan.policy.models import Installation

    connection.close()  # the server may have been restarted meanwhile
    if Installation.objects.filter(pk=1, mode=Installation.Mode.DEMO).exists():
        installation.freeze()
    connection.close()


def register(cli: click.Group) -> None:
    @cli.group("demo", invoke_without_command=True)
    @click.pass_context
    def demo(context: click.Context) -> None:
        """演示：建立一座城市，打开网页，Ctrl-C 全部停止 / a city to try out; Ctrl-C stops everything."""
        if context.invoked_subcommand is None:
            context.invoke(context.command.get_command(context, "start"))

    @command(demo, "start", role=None)
    def start(run: Run) -> dict:
        """启动演示（不带参数时即此）/ start it (what `demo` alone does)."""
        serve.require_free_port()
        with postgres.Use():
            setup.prepare("work")
            module = _demo_module()
            if module is not None:
                module.seed()
            _thaw()
            _heartbeat()
            children = [process.web(), process.worker()]
            try:
                if not process.wait_until_answering(f"{_url()}/healthz"):
                    raise Refused("web_silent", "网页服务没有应答，原因见上。", "The web process did not answer; see above.")
                logins = home() / "demo-logins.txt"
                if logins.exists():
                    run.say(logins.read_text().rstrip())
                run.say(f"\n闭环演示已就绪 ／ ready: {_url()}    （Ctrl-C 停止 ／ stops everything）")
            except BaseException:
                process.calm()
                for child in children:
                    child.stop()
                raise
            process.watch(children, _heartbeat)
            _freeze()
            say("\n闭环：已停止，演示时间也已停住 ／ stopped; the demonstration's clock stands still")
        return {"ok": True}

    @command(demo, "seed", role="work")
    def seed(run: Run) -> dict:
        """只建演示城市，不打开网页 / make the demonstration's city without opening the pages."""
        module = _demo_module()
        if module is None:
            raise Refused("no_demo", "这个安装没有演示城市。", "This installation has no demonstration.")
        module.seed()
        logins = home() / "demo-logins.txt"
        run.say(logins.read_text().rstrip())
        return {"ok": True, "logins": logins}

    @command(demo, "advance", role="work")
    @click.argument("span")
    def advance(run: Run, span: str) -> dict:
        """演示时间向前走，例如 1h；到期的提级协助随之发生 / move the clock forward and run what falls due."""
        by = parse_span(span)
        module = _demo_module()
        if module is not None and hasattr(module, "advance"):
            result = module.advance(by)
        else:
            from bihuan.policy import installation

            result = {"now": installation.advance(by)}
        run.say(f"演示时间 ／ product time: {result['now']}")
        return {"ok": True, **result}

    @command(demo, "code")
    @click.argument("login")
    def code(run: Run, login: str) -> dict:
        """演示账号现在的第二步验证码 / the present code of a demonstration's login."""
        from bihuan.access import second_factor
        from bihuan.access.pages import is_demo
        from bihuan.access.queries import post_of

        if not is_demo():
            raise Refused("no_demo", "这不是演示库，验证码只在本人手里。", "This is no demonstration: only the officer has the code.")
        found = second_factor.present_code(post_of(login).officer_id)
        run.say(found or "这个账号没有验证器 / this login has no authenticator")
        return {"ok": found is not None, "code": found}

    @command(cli, "serve", role=None)
    def serve_pages(run: Run) -> dict:
        """只启动网页 / the pages alone (port: BIHUAN_PORT)."""
        serve.require_free_port()
        with postgres.Use():
            setup.prepare("app")
            guard.check()
            say(f"闭环：{_url()}")
            process.watch([process.web()])
        return {"ok": True}

    @command(cli, "work", role=None)
    @click.option("--once", is_flag=True, help="每项任务只做一次 / every job once, then end")
    def work(run: Run, once: bool) -> dict:
        """后台任务：时钟、封存、导入 / the worker: clock, seals, imports."""
        with postgres.Use():
            setup.prepare("work")
            if once:
                from bihuan.site import worker

                done = worker.run_once()
                for name, fine in done.items():
                    run.say(f"{'✓' if fine else '✗'} {name}")
                return {"ok": all(done.values()), "jobs": done}
            process.watch([process.worker()])
        return {"ok": True}
