from django.apps import AppConfig


class BoardsConfig(AppConfig):
    name = "bihuan.boards"
    label = "boards"

    def ready(self) -> None:
        from bihuan.boards import touched  # noqa: F401  registers how a preview counts
