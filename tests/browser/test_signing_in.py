"""Signing in with a real browser: a passkey of the browser's own, a page that locks, a telephone with a PIN."""

from __future__ import annotations

import re

import pytest
from tests.browser.conftest import PASSWORD

from bihuan.access import devices
from bihuan.access import queries as access
from bihuan.access.models import Passkey, SignIn


@pytest.fixture
def authenticator():
    """`authenticator(page)`: the browser holds passkeys by itself, as a computer with a fingerprint reader does."""

    def plug(page) -> None:
        session = page.context.new_cdp_session(page)
        session.send("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "internal", "hasUserVerification": True, "isUserVerified": True}
        session.send("WebAuthn.addVirtualAuthenticator", {"options": {**options, "automaticPresenceSimulation": True}})

    return plug


def test_a_passkey_is_made_and_shown(live_server, sign_in, authenticator, monkeypatch):
    """Passkeys belong to a host name: localhost here, the city's own in service."""
    page = sign_in("shi")
    host = live_server.url.replace("127.0.0.1", "localhost")
    page.goto(f"{host}/sign-in")
    authenticator(page)
    page.fill("#id_login", "shi")
    page.fill("#id_password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/sign-in" not in url)
    page.goto(f"{host}/account/second-factor")
    page.fill("#id_code", page.inner_text("#demo-code"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/account/second-factor")
    page.fill("#id_name", "值班室电脑")
    page.click("form[data-passkey-make] button")
    page.wait_for_url("**/account")
    assert "值班室电脑" in page.inner_text("main")
    assert Passkey.objects.get().name == "值班室电脑"

    SignIn.objects.update(second_at=None)
    page.goto(f"{host}/account/second-factor")
    page.click("form[data-passkey-show] button")
    page.wait_for_url("**/account/second-factor")
    assert Passkey.objects.get().used_at is not None


def test_a_page_that_nobody_touches_locks_itself(live_server, sign_in):
    page = sign_in("zhen")
    page.goto(f"{live_server.url}/duties")
    page.route("**/js/idle.js", lambda route: route.fulfill(body=_hurried(route), content_type="text/javascript"))
    page.goto(f"{live_server.url}/duties")
    page.wait_for_url("**/unlock?next=*")
    assert "吴镇宁" in page.inner_text("main")
    page.goto(f"{live_server.url}/people")
    assert "/unlock" in page.url
    page.fill("#id_secret", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/people")


def _hurried(route) -> str:
    """The page's own script, for which a second is as long as a quarter of an hour."""
    return re.sub(r"\* 1000;", "* 1;", route.fetch().text()).replace("}, 5000)", "}, 100)")


def test_a_telephone_is_trusted_and_opens_with_its_pin(live_server, browser):
    code, _until = devices.make_code(access.post_of("cun").officer_id, 1)
    page = browser.new_page()
    page.set_viewport_size({"width": 360, "height": 640})
    page.goto(f"{live_server.url}/sign-in?next=/duties")
    page.fill("#id_login", "10000000001")
    page.fill("#id_password", code)
    page.keyboard.press("Enter")
    page.wait_for_url("**/account/device*")
    page.fill("#id_pin", "402918")
    page.fill("#id_again", "402918")
    page.keyboard.press("Enter")
    page.wait_for_url("**/duties")
    page.click("details.menu summary")
    page.click("form[action='/sign-out'] button")
    page.wait_for_url("**/sign-in")
    page.fill("#id_pin", "402918")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/sign-in" not in url)
    assert page.url.endswith("/duties")
