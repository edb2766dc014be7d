from django.apps import AppConfig


class BoardsConfig(AppConfig):
    name = "bihuan.boards"
    label = "boards"
