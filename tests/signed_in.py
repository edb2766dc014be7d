"""Officers who have signed in, without the pages of signing in: those are tested in flows/test_sign_in.py."""

from __future__ import annotations

from typing import Any

from django.test import Client

from bihuan.access import queries as access
from bihuan.access.models import SignIn
from bihuan.kernel import clock


def signed_in(login: str, language: str = "zh-hans", *, fresh: bool = True, **given: Any) -> Client:
    """A client in the officer's first post. `fresh`: a second factor was shown just now, as exports and the like want it."""
    post = access.post_of(login)
    made = Client(headers={"host": "localhost", "accept-language": language}, **given)
    made.force_login(post.officer)
    session = made.session
    session["post"] = post.id
    session.save()
    if fresh:
        SignIn.objects.filter(id=session["sign_in"]).update(second_at=clock.real_now())
    return made
