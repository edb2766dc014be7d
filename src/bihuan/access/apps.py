from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "bihuan.access"
    label = "access"

    def ready(self) -> None:
        from bihuan.access import scope, sessions

        scope.install()
        sessions.install()
