"""Why one sees a person, and what one may do: the rule that opens it, from the same places that decide."""

from __future__ import annotations

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


@require_safe
def why(request: HttpRequest, subject: UUID) -> HttpResponse:
    """For a person in sight. Whoever is not in sight is not there: the same answer as for nobody."""
    post = allow(request, Permission.LEAD_READ)
    lo, hi = post.scope
    with connection.cursor() as cursor:
        cursor.execute(_SEEN, {"subject": subject})
        written = cursor.fetchall()
    here = sorted({scope for scope, _unit in written if scope is not None and lo <= scope < hi})
    by_unit = any(unit == post.unit_id for _scope, unit in written)
    if not here and not by_unit:
        raise Refused("person_not_found", "找不到此人，或不在您的范围内。", "There is no such person, or not in your scope.")
    # A place in the range is where the acts may be done; else the hands of the unit are.
    scope, holder = (here[0], None) if here else (lo - 1, post.unit_id)
    acts = [
        {"words": words, "may": decide(Role(post.role), permission, lo, hi, post.unit_id, scope, holder), "who": _who(permission)}
        for permission, words in ACTS.items()
    ]
    above = regions.unit_row(regions.above(post.unit_id, 1))
    context = {
        "unit": post.unit.name, "role": _(str(Role(post.role).label)), "by_place": bool(here), "by_unit": by_unit, "acts": acts,
        "ask": {"name": above.name, "phone": above.phone} if above is not None and above.id != post.unit_id else None,
    }  # fmt: skip
    return render(request, "access/why.html", context)


def _who(permission: Permission) -> str:
    """The roles that may, from the lowest: whom to ask."""
    levels = (Role.VILLAGE_WORKER, Role.TOWNSHIP_DESK, Role.COUNTY_DESK, Role.CITY_DESK)
    able: Any = next((role for role in levels if permission in role.permissions), None)
    return _(str(able.label)) if able else ""


urlpatterns = [path("why/<uuid:subject>", why)]
