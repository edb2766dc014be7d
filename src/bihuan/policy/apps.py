"""The floor of rules: packs, outbreak events, adoptions, and the installation's clock."""

from __future__ import annotations

from django.apps import AppConfig


class PolicyConfig(AppConfig):
    name = "bihuan.policy"
    label = "policy"

    def ready(self) -> None:
        from bihuan.kernel import clock
        from bihuan.policy import installation

        clock.set_source(installation.clock_state)
