"""The pages of a real city do not start with what only a trial may have: example secrets, pages for programmers, open HTTP."""

from __future__ import annotations

from collections.abc import Sequence

from bihuan.kernel.refused import Refused

SECRET_LENGTH_MIN = 32
_DISTINCT_MIN = 10
# Words of secrets that stand in examples and manuals.
_EXAMPLES = ("changeme", "change-me", "example", "insecure", "secret", "password", "bihuan", "123456", "qwerty", "test")
_LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}


def faults(*, secret: str, debug: bool, hosts: Sequence[str], https: bool) -> list[Refused]:
    """What a real city must not run with; nothing when all is well."""
    found = []
    if debug:
        found.append(
            Refused(
                "debug_in_service",
                "正式系统不能打开 BIHUAN_DEBUG：出错页会把数据给别人看。",
                "BIHUAN_DEBUG must be off in a real city: its error pages show data to strangers.",
                "BIHUAN_DEBUG",
            )
        )
    if len(secret) < SECRET_LENGTH_MIN or len(set(secret)) < _DISTINCT_MIN or any(word in secret.lower() for word in _EXAMPLES):
        found.append(
            Refused(
                "secret_weak",
                f"BIHUAN_SECRET 太短或是示例里的，至少 {SECRET_LENGTH_MIN} 位随机字符；不设它，首次启动会自己生成一个。",
                f"BIHUAN_SECRET is short or an example: at least {SECRET_LENGTH_MIN} random characters. Without it one is made for you.",
                "BIHUAN_SECRET",
            )
        )
    if "*" in hosts or any(host.startswith(".") for host in hosts):
        found.append(
            Refused(
                "hosts_open",
                "BIHUAN_HOSTS 要写明主机名，不能用通配。",
                "BIHUAN_HOSTS has to name the hosts, without wildcards.",
                "BIHUAN_HOSTS",
            )
        )
    if not https and set(hosts) - _LOOPBACK:
        found.append(
            Refused(
                "http_in_service",
                "正式系统要在前面放 HTTPS 代理，并设 BIHUAN_HTTPS=1。",
                "A real city needs an HTTPS proxy before the pages, and BIHUAN_HTTPS=1.",
                "BIHUAN_HTTPS",
            )
        )
    return found


def check() -> None:
    """Refuses to go on with the first fault. A demonstration, and a database in which no city is set up, may do as they like."""
    from django.conf import settings

    from bihuan.policy.models import Installation

    if Installation.objects.filter(mode=Installation.Mode.LIVE).exists():
        for fault in faults(
            secret=settings.SECRET_KEY, debug=settings.DEBUG, hosts=[h for h in settings.ALLOWED_HOSTS if h], https=settings.HTTPS
        ):
            raise fault
