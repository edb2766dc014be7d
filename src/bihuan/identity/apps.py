from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "bihuan.identity"
    label = "identity"

    def ready(self) -> None:
        from bihuan.identity import loops  # noqa: F401  (declares the duty)
