"""A real city does not start with an example secret, programmers' pages, wildcards or open HTTP; a demonstration may."""

from __future__ import annotations

import pytest
from django.test import override_settings

from bihuan.kernel.refused import Refused
from bihuan.site import guard

GOOD = {"secret": "9f04c7e1b8d26a35" * 4, "debug": False, "hosts": ["fangkong.example.cn"], "https": True}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"debug": True}, "debug_in_service"),
        ({"secret": "short"}, "secret_weak"),
        ({"secret": "x" * 64}, "secret_weak"),
        ({"secret": "django-insecure-" + GOOD["secret"]}, "secret_weak"),
        ({"secret": "changeme" + GOOD["secret"]}, "secret_weak"),
        ({"hosts": ["*"]}, "hosts_open"),
        ({"hosts": [".example.cn"]}, "hosts_open"),
        ({"https": False}, "http_in_service"),
    ],
)
def test_each_fault_is_named(changed, code):
    assert [fault.code for fault in guard.faults(**(GOOD | changed))] == [code]


def test_nothing_is_wrong_with_a_city_behind_its_proxy_or_with_a_trial_on_ones_own_machine():
    assert guard.faults(**GOOD) == []
    assert guard.faults(**(GOOD | {"https": False, "hosts": ["localhost", "127.0.0.1", "[::1]"]})) == []


def test_a_demonstration_may_what_a_real_city_may_not(city, as_role):
    with override_settings(DEBUG=True, SECRET_KEY="example"):
        guard.check()
        with as_role("superuser") as db:
            db.execute("UPDATE installation SET mode = 'live', clock_offset = '0', frozen_at = NULL")
        with pytest.raises(Refused) as refused:
            guard.check()
    assert refused.value.code == "debug_in_service"
