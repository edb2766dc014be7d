from django.apps import AppConfig


class LoopsConfig(AppConfig):
    name = "bihuan.loops"
    label = "loops"

    def ready(self) -> None:
        from bihuan.loops import conflicts, ending, hand_over  # noqa: F401  a duty, and what goes at the end of an event

        hand_over.install()
