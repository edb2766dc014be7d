"""The log of accounts, devices and sign-ins: appended to, never changed. What may be logged is listed here."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from bihuan.access.models import SecurityLog
from bihuan.kernel import clock

# code: what the auditor reads
WORDS = {
    "signed_in": _("登录"),
    "signed_out": _("退出"),
    "sign_in_failed": _("登录没有成功"),
    "account_locked": _("试错太多，账号暂停登录"),
    "address_locked": _("同一地址试错太多，暂停登录"),
    "lock_cleared": _("解除暂停登录"),
    "screen_locked": _("锁屏"),
    "screen_unlocked": _("解锁"),
    "session_ended": _("登录被结束"),
    "session_elsewhere": _("登录凭据出现在另一台设备上，已结束"),
    "second_passed": _("通过第二步验证"),
    "second_failed": _("第二步验证没有通过"),
    "totp_enrolled": _("绑定验证器"),
    "passkey_added": _("添加通行密钥"),
    "passkey_removed": _("删除通行密钥"),
    "recovery_made": _("生成备用码"),
    "recovery_used": _("使用备用码"),
    "factors_removed": _("第二步验证被清除，要重新绑定"),
    "password_changed": _("修改密码"),
    "password_reset": _("重设密码"),
    "code_made": _("生成登录验证码"),
    "device_trusted": _("信任一台设备"),
    "device_revoked": _("停用一台设备"),
    "entry_kept": _("停用或锁屏后交来的记录，留待确认"),
    "entry_left": _("留待确认的记录，决定不记"),
    "reads_stopped": _("一小时内读取完整信息太多，暂停"),
    "officer_made": _("开账号"),
    "officer_changed": _("修改账号"),
    "officer_ended": _("停用账号"),
    "officer_restored": _("恢复账号"),
    "post_given": _("给岗位"),
    "post_ended": _("结束岗位"),
}


def address(request: HttpRequest | None) -> str:
    """Where a request came from. Behind the HTTPS proxy it is what the proxy itself saw: the last entry of its header."""
    from django.conf import settings

    if request is None:
        return ""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.HTTPS else ""
    return (forwarded.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", ""))[:64]


def note(
    what: str, *, officer: int | None = None, about: int | None = None, request: HttpRequest | None = None, detail: str = "",
    once: timedelta | None = None,
) -> None:  # fmt: skip
    """Append a line; with `once` only where there was none of the kind about the officer for that long.

    KeyError for a code that no auditor could read.
    """
    if what not in WORDS:
        raise KeyError(what)
    if once and SecurityLog.objects.filter(what=what, about=about or officer, at__gt=clock.real_now() - once).exists():
        return
    SecurityLog.objects.create(
        at=clock.real_now(),
        what=what,
        officer=officer,
        about=about if about is not None else officer,
        address=address(request),
        detail=detail[:200],
    )
