"""One pure function says who may do what where; the database repeats it with row-level security."""

from __future__ import annotations

from bihuan.access.permissions import Permission, Role
from bihuan.kernel.refused import Refused


def decide(role: Role, permission: Permission, lo: int, hi: int, unit: int, scope: int | None, holder: int | None = None) -> bool:
    """Whether a post (role; range lo ≤ code < hi; unit) may use `permission` on something.

    `scope` is the jurisdiction code of the thing (None: the permission alone decides); `holder` the unit that holds
    or is offered it: what lies in one's hands may be worked on even if its place is elsewhere.
    """
    if permission not in role.permissions:
        return False
    return scope is None or lo <= scope < hi or (holder is not None and holder == unit)


def require(by, permission: Permission, scope: int | None = None, holder: int | None = None) -> None:
    """Refuses (`not_permitted`) what `decide` denies. `by` is a Post."""
    lo, hi = by.scope
    if not by.is_valid() or not decide(Role(by.role), permission, lo, hi, by.unit_id, scope, holder):
        raise Refused(
            "not_permitted",
            "您的岗位不能做这件事。需要的话请找上一级值班室。",
            "Your post may not do this. If it is needed, ask the duty desk of the level above.",
        )
