from django.apps import AppConfig


class LoopsConfig(AppConfig):
    name = "bihuan.loops"
    label = "loops"

    def ready(self) -> None:
        from bihuan.loops import ending, hand_over  # noqa: F401  `ending` registers what goes at the end of an event

        hand_over.install()
