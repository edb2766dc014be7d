"""The pages as a WSGI application (granian serves it)."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bihuan.site.settings")

from django.core.wsgi import get_wsgi_application  # noqa: E402 (settings first)

application = get_wsgi_application()
