"""The pages as a WSGI application (granian serves it)."""

import os
import sys

# Who waits for the interpreter gets it after half a millisecond, not five: a page asks the database a dozen times, and
# beside a heavy page each answer would wait for its turn.
sys.setswitchinterval(0.0005)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bihuan.site.settings")

from django.core.wsgi import get_wsgi_application  # noqa: E402 (settings first)

application = get_wsgi_application()
