from django.apps import AppConfig


class LoopsConfig(AppConfig):
    name = "bihuan.loops"
    label = "loops"
