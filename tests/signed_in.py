"""Officers who have signed in, without the pages of signing in: those are tested in flows/test_sign_in.py.

The rows that a sign-in leaves are written as they stand after it: a suite signs in some thousand times.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.test import Client

from bihuan.access import queries as access
from bihuan.access import sessions
from bihuan.access.models import SignIn
from bihuan.kernel import clock


def signed_in(login: str, language: str = "zh-hans", *, fresh: bool = True, **given: Any) -> Client:
    """A client in the officer's first post. `fresh`: a second factor was shown just now, as exports and the like want it."""
    post, now, key = access.post_of(login), clock.real_now(), secrets.token_hex(16)
    begun = SignIn.objects.create(
        id=uuid4(), officer_id=post.officer_id, how="password", began_at=now, seen_at=now, second_at=now if fresh else None
    )
    kept = {
        SESSION_KEY: str(post.officer_id),
        BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
        HASH_SESSION_KEY: post.officer.get_session_auth_hash(),
        sessions.KEY: str(begun.id),
        "post": post.id,
    }
    encoded = Session.get_session_store_class()().encode(kept)
    Session.objects.create(session_key=key, session_data=encoded, expire_date=now + timedelta(days=1))
    made = Client(headers={"host": "localhost", "accept-language": language}, **given)
    made.cookies[settings.SESSION_COOKIE_NAME] = key
    return made
