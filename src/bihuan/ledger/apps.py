from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "bihuan.ledger"
    label = "ledger"

    def ready(self) -> None:
        from bihuan.ledger import facts  # noqa: F401  declares its kinds
