"""Who may do what: the whole matrix of role, permission and place."""

from __future__ import annotations

import itertools

import pytest

from bihuan.access.decide import decide
from bihuan.access.permissions import Permission, Role

LO, HI, UNIT = 320703000000000, 320704000000000, 7


@pytest.mark.parametrize(("role", "permission"), list(itertools.product(Role, Permission)))
def test_a_permission_counts_in_ones_range_or_for_what_one_holds(role, permission):
    may = permission in role.permissions
    inside = [LO, LO + 1, HI - 1]
    outside = [LO - 1, HI, 0]
    assert decide(role, permission, LO, HI, UNIT, None) is may
    assert [decide(role, permission, LO, HI, UNIT, scope) for scope in inside] == [may] * 3
    assert [decide(role, permission, LO, HI, UNIT, scope) for scope in outside] == [False] * 3
    assert decide(role, permission, LO, HI, UNIT, HI, holder=UNIT) is may
    assert decide(role, permission, LO, HI, UNIT, HI, holder=UNIT + 1) is False


def test_what_a_role_is_for():
    sees = {role for role in Role if Permission.LEAD_READ in role.permissions}
    assert sees == {Role.CITY_DESK, Role.COUNTY_DESK, Role.TOWNSHIP_DESK, Role.VILLAGE_WORKER}
    assert {role for role in Role if Permission.RESULT_RECORD in role.permissions} == {Role.CITY_DESK, Role.COUNTY_DESK}
    assert Role.LIST_SENDER.permissions == {Permission.LIST_IMPORT}
    assert all(role.sentence for role in Role)


def test_an_empty_range_holds_nothing():
    assert not decide(Role.LIST_SENDER, Permission.LIST_IMPORT, LO, LO, UNIT, LO)
