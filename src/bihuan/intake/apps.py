from django.apps import AppConfig


class IntakeConfig(AppConfig):
    name = "bihuan.intake"
    label = "intake"
    verbose_name = "名单接收"

    def ready(self) -> None:
        from bihuan.intake import ending  # noqa: F401  registers what goes at the end of an event
