from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "bihuan.identity"
    label = "identity"

    def ready(self) -> None:
        from bihuan.identity import ending, loops  # noqa: F401  (declares the duty, and what goes at the end of an event)
