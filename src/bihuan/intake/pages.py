"""The addresses of lists that come in."""

from __future__ import annotations

from django.urls import path

from bihuan.intake import file_pages, mapping_pages, upload_pages

urlpatterns = [
    path("intake", upload_pages.files, name="intake"),
    path("intake/upload", upload_pages.upload, name="upload"),
    path("intake/<int:file>", file_pages.one),
    path("intake/<int:file>/progress", file_pages.progress),
    path("intake/<int:file>/marked.xlsx", file_pages.marked),
    path("intake/<int:file>/rows.csv", file_pages.rows_csv),
    path("intake/<int:file>/mapping", mapping_pages.mapping),
]
