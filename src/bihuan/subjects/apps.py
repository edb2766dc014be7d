from django.apps import AppConfig


class SubjectsConfig(AppConfig):
    name = "bihuan.subjects"
    label = "subjects"
