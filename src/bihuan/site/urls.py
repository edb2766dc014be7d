"""Every page. A module brings its own as `urlpatterns` in `pages.py`, its API as `urlpatterns` in `api.py`."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import include, path
from django.views.decorators.http import require_safe

from bihuan.site import context, health
from bihuan.site.home import FLOORS


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The first page of the reader's post."""
    tabs = context.tabs(request.post)
    if not tabs:
        return render(request, "access/no_pages.html")
    return HttpResponseRedirect(tabs[0][1])


# Names that Django looks for: whoever meets a fault of the database is told so.
handler400 = "bihuan.site.away.bad_request"
handler500 = "bihuan.site.away.server_error"

urlpatterns = [
    path("", home, name="home"),
    path("healthz", health.healthz, name="healthz"),
    path("i18n/", include("django.conf.urls.i18n")),
]
for floor in FLOORS:
    for name in ("pages", "api"):
        module = f"bihuan.{floor}.{name}"
        if find_spec(module) and hasattr(import_module(module), "urlpatterns"):
            urlpatterns.append(path("" if name == "pages" else "api/", include(module)))
