"""Why one sees a record, and what one may do with it: the rule that opens it, from the same places that decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from bihuan.access.decide import decide
from bihuan.access.middleware import allow
from bihuan.access.permissions import Permission, Role
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.regions import queries as regions

# What is done about a person, in the order in which a desk meets it.
ACTS = {
    Permission.LEAD_READ: gettext_lazy("看这个人的事（姓名、电话、证件都遮盖）"),
    Permission.LEAD_VERIFY: gettext_lazy("打电话、上门，登记核查结果"),
    Permission.SAMPLE_RECORD: gettext_lazy("登记采样"),
    Permission.RESULT_RECORD: gettext_lazy("登记检测结果"),
    Permission.DUTY_MOVE: gettext_lazy("移交、接收、分派"),
    Permission.DUTY_WAIVE: gettext_lazy("免办"),
    Permission.FACT_VOID: gettext_lazy("作废、更正办理记录"),
    Permission.PERSON_UNMASK: gettext_lazy("写明用途后看完整信息"),
    Permission.IDENTITY_SETTLE: gettext_lazy("判定是不是同一个人"),
}

# All places and units that the doors wrote down for the person and everybody found to be the same.
_SEEN = """
SELECT v.scope, v.unit FROM visible v WHERE v.subject IN (
  SELECT c2.subject FROM cluster c JOIN cluster c2 ON c2.root = c.root WHERE c.subject = %(subject)s UNION ALL SELECT %(subject)s)
"""


# Other records: (where it lies, units that it belongs to, acts), read under the reader's own scope; nothing found is nothing there.
_RECORDS = {
    "duty": ("SELECT scope, ARRAY[owner, offered_to] FROM loop WHERE id = %s", ACTS),
    "list": (
        "SELECT NULL, ARRAY[unit] FROM duty_list WHERE id = %s",
        {
            Permission.LEAD_READ: gettext_lazy("看、打印这份清单（姓名遮盖）"),
            Permission.LEAD_VERIFY: gettext_lazy("整份一起登记结果"),
            Permission.DUTY_MOVE: gettext_lazy("整份一起移交、分派、退回"),
            Permission.DUTY_WAIVE: gettext_lazy("整份一起免办"),
            Permission.PERSON_UNMASK: gettext_lazy("写明用途后带全名打印、导出"),
        },
    ),
    "file": (
        "SELECT scope, ARRAY[unit] FROM intake_file WHERE id = %s",
        {
            Permission.LIST_IMPORT: gettext_lazy("看这份名单的账，下载标好的原表"),
            Permission.LEAD_READ: gettext_lazy("点开名单上的人（姓名、电话、证件都遮盖）"),
        },
    ),
    "unit": (
        "SELECT s.scope, ARRAY[u.id] FROM unit u JOIN region_scope s ON s.region_id = u.region_id AND s.valid @> %s::date WHERE u.id = %s",
        {
            Permission.FIGURES_READ: gettext_lazy("看这个单位的数"),
            Permission.LEAD_READ: gettext_lazy("点开每个数，看它数的名单"),
            Permission.ROSTER_KEEP: gettext_lazy("登记它的人员，念验证码"),
            Permission.ACCOUNT_MANAGE: gettext_lazy("开账号、定岗位"),
        },
    ),
}
_TITLES = {
    "person": gettext_lazy("为什么我看得到这个人"),
    "duty": gettext_lazy("为什么我看得到这件事"),
    "list": gettext_lazy("为什么我看得到这份清单"),
    "file": gettext_lazy("为什么我看得到这份名单"),
    "unit": gettext_lazy("为什么我看得到这个单位"),
}


@require_safe
def why(request: HttpRequest, subject: UUID) -> HttpResponse:
    """For a person in sight. Whoever is not in sight is not there: the same answer as for nobody."""
    post = allow(request, Permission.LEAD_READ)
    with connection.cursor() as cursor:
        cursor.execute(_SEEN, {"subject": subject})
        written = cursor.fetchall()
    return _shown(request, post, "person", [scope for scope, _unit in written], {unit for _scope, unit in written}, ACTS)


@require_safe
def why_record(request: HttpRequest, what: str, number: int) -> HttpResponse:
    """The same for a duty, a list, a file or a unit."""
    post = allow(request)
    query, acts = _RECORDS[what]
    with connection.cursor() as cursor:
        cursor.execute(query, [clock.today(), number] if what == "unit" else [number])
        found = cursor.fetchone()
    scope, units = found or (None, [])
    return _shown(request, post, what, [scope], set(units), acts)


def _shown(
    request: HttpRequest, post: Any, what: str, scopes: list[int | None], units: set[int | None], words: Mapping[Permission, Any]
) -> HttpResponse:
    # Accounts of units are kept by administrators, whose range of persons is empty: there their territory counts.
    lo, hi = post.territory if what == "unit" else post.scope
    here = sorted({scope for scope in scopes if scope is not None and lo <= scope < hi})
    by_unit = post.unit_id in units
    if not (here or by_unit) or not any(post.may(permission) for permission in words):
        if what == "person":
            raise Refused("person_not_found", "找不到此人，或不在您的范围内。", "There is no such person, or not in your scope.")
        raise Refused("record_not_found", "没有这条记录，或不在您的范围内。", "There is no such record, or not in your range.")
    # A place in the range is where the acts may be done; else the hands of the unit are.
    scope, holder = (here[0], None) if here else (lo - 1, post.unit_id)
    acts = [
        {"words": text, "may": decide(Role(post.role), permission, lo, hi, post.unit_id, scope, holder), "who": _who(permission)}
        for permission, text in words.items()
    ]
    context = {
        "title": _TITLES[what], "what": what, "unit": post.unit.name, "role": _(str(Role(post.role).label)), "by_place": bool(here),
        "by_unit": by_unit, "acts": acts, "ask": _ask(post),
    }  # fmt: skip
    return render(request, "access/why.html", context)


@require_safe
def why_not(request: HttpRequest) -> HttpResponse:
    """Why something does not open, in general: of a record that is out of sight nobody says that it exists."""
    post = allow(request)
    acts = [{"words": text, "may": post.may(permission), "who": _who(permission)} for permission, text in ACTS.items()]
    context = {
        "unit": post.unit.name, "role": _(str(Role(post.role).label)), "acts": acts, "ask": _ask(post),
        "sees_people": post.sees_people, "sentence": _(Role(post.role).sentence),
    }  # fmt: skip
    return render(request, "access/why_not.html", context)


def _ask(post: Any) -> dict[str, str] | None:
    above = regions.unit_row(regions.above(post.unit_id, 1))
    return {"name": above.name, "phone": above.phone} if above is not None and above.id != post.unit_id else None


def _who(permission: Permission) -> str:
    """The roles that may, from the lowest: whom to ask."""
    levels = (Role.VILLAGE_WORKER, Role.TOWNSHIP_DESK, Role.COUNTY_DESK, Role.CITY_DESK)
    able: Any = next((role for role in levels if permission in role.permissions), None)
    return _(str(able.label)) if able else ""


urlpatterns = [
    path("why", why_not),
    path("why/<uuid:subject>", why),
    path("why/duty/<int:number>", why_record, {"what": "duty"}),
    path("why/list/<int:number>", why_record, {"what": "list"}),
    path("why/file/<int:number>", why_record, {"what": "file"}),
    path("why/unit/<int:number>", why_record, {"what": "unit"}),
]
