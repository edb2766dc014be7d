from django.apps import AppConfig


class LoopsConfig(AppConfig):
    name = "bihuan.loops"
    label = "loops"

    def ready(self) -> None:
        from bihuan.loops import hand_over

        hand_over.install()
