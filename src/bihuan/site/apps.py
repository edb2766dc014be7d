from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "bihuan.site"
    label = "site_"
    verbose_name = "闭环"
