from django.apps import AppConfig


class LeadsConfig(AppConfig):
    name = "bihuan.leads"
    label = "leads"

    def ready(self) -> None:
        from bihuan.leads import ending, lists, loops, verify  # noqa: F401  registers the duties, the lists, what must hold, and what goes
