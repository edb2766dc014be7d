"""Static files under names that carry their content."""

from __future__ import annotations

import hashlib

from whitenoise.storage import CompressedManifestStaticFilesStorage

# django-htmx brings three editions and extensions; the pages use htmx 2.
NOT_SERVED = ["ext", "ht*x-4*", "htmax*"]


class HashedFiles(CompressedManifestStaticFilesStorage):
    """Also rewrites the imports between our own JavaScript modules; a file that nobody collected is no error 500."""

    support_js_module_import_aggregation = True
    manifest_strict = False


def collect() -> None:
    """Collect the files anew when one of them has changed. Django must be started."""
    from django.conf import settings
    from django.contrib.staticfiles.finders import get_finders
    from django.contrib.staticfiles.management.commands.collectstatic import Command
    from django.core.management import call_command
    from django.test import override_settings

    found = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list(NOT_SERVED):
            found.update(f"{path}\0{storage.size(path)}\0{storage.get_modified_time(path).timestamp()}\n".encode())
    stamp = settings.STATIC_ROOT / ".stamp"
    if stamp.exists() and stamp.read_text() == found.hexdigest():
        return
    backend = {"BACKEND": f"{HashedFiles.__module__}.{HashedFiles.__name__}"}
    with override_settings(STORAGES=settings.STORAGES | {"staticfiles": backend}):
        call_command(Command(), ignore_patterns=NOT_SERVED, interactive=False, clear=True, verbosity=0)
    stamp.write_text(found.hexdigest())
