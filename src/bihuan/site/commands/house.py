"""`migrate`, `manage`, `db`: the database and Django's own tools."""

from __future__ import annotations

import subprocess

import click

from bihuan.kernel.refused import Refused
from bihuan.site import postgres, roles, setup, upgrade
from bihuan.site.address import data_folder, is_embedded
from bihuan.site.cli import Run, command


def register(cli: click.Group) -> None:
    @command(cli, "migrate", role="server")
    def migrate(run: Run) -> dict:
        """建立或更新数据表与权限 / make or update tables and privileges."""
        roles.ensure()
        setup.django("owner")
        setup.migrate(verbosity=0 if run.json else 1)
        return {"ok": True, "stamp": setup.stamp()}

    @command(cli, "manage", role="server", context_settings={"ignore_unknown_options": True, "help_option_names": []})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def manage(run: Run, arguments: tuple[str, ...]) -> None:
        """Django 的维护命令，以数据库属主身份 / Django's own commands, as the database's owner (makemigrations, shell …)."""
        from django.core.management import execute_from_command_line

        roles.ensure()
        setup.django("owner")
        execute_from_command_line(["bihuan manage", *arguments])

    @cli.group("db")
    def db() -> None:
        """数据库服务 / the database server."""

    role_option = click.option("--role", type=click.Choice(["app", "work", "owner", "superuser"]), default="owner", show_default=True)

    @command(db, "psql", context_settings={"ignore_unknown_options": True})
    @role_option
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def psql(run: Run, role: str, arguments: tuple[str, ...]) -> dict:
        """打开 SQL 控制台 / an SQL console; further arguments go to psql."""
        done = subprocess.run([str(postgres.program("psql")), roles.dsn(role), *arguments])
        return {"ok": done.returncode == 0}

    @command(db, "url", keep=True)
    @role_option
    def url(run: Run, role: str) -> dict:
        """显示连接串，并让服务继续运行 / print a connection string and leave the server running (until `db stop`)."""
        found = roles.dsn(role)
        if not run.json:
            run.say(found)
        return {"ok": True, "url": found}

    @command(db, "stop", role=None)
    def stop(run: Run) -> dict:
        """停止内置数据库 / stop the embedded server, whoever started it."""
        if not is_embedded():
            raise Refused("server_not_ours", "DATABASE_URL 的服务不由闭环启动或停止。", "The server of DATABASE_URL is not ours to stop.")
        (data_folder() / "keep-running").unlink(missing_ok=True)
        stopped = postgres.stop()
        run.say("已停止 / stopped" if stopped else "没有在运行 / was not running")
        return {"ok": True, "stopped": stopped}

    @command(db, "upgrade", role=None)
    def upgrade_database(run: Run) -> dict:
        """把旧版本的数据文件夹升级到当前版本；旧文件夹保留 / upgrade an older data folder; the old one is kept."""
        if not is_embedded():
            raise Refused("server_not_ours", "DATABASE_URL 的服务不由闭环升级。", "The server of DATABASE_URL is not ours to upgrade.")
        kept = upgrade.upgrade(data_folder())
        run.say(f"已升级，旧数据在 ／ upgraded; the old data lie in {kept}" if kept else "已是当前版本 ／ nothing to do")
        return {"ok": True, "kept": kept}
