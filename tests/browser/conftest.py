"""Pages in a real browser, on the demonstration's city."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

PASSWORD = "for-the-tests-only"


@pytest.fixture
def db(city: str) -> str:
    """`live_server` serves the city."""
    return city


@pytest.fixture
def five(db: str) -> None:
    """Five people for the desk of 板桥社区."""
    from tests.browser.made_up import HEAD, line
    from tests.morning import take_in

    take_in("a.csv", (HEAD + "".join(line(n) for n in range(1, 6))).encode(), "community")


@pytest.fixture
def sign_in(live_server, browser) -> Iterator:
    """`page = sign_in("cun")`: a page of somebody who has signed in by the form. Errors of scripts fail the test."""
    from django.contrib.auth.hashers import make_password

    from bihuan.access.models import Officer

    Officer.objects.update(password=make_password(PASSWORD))
    faults: list[str] = []

    def open_page(login: str, width: int = 1440, height: int = 900):
        page = browser.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.on("pageerror", lambda error: faults.append(str(error)))
        # Chromium on a desk has no dialler and waits for one: the number is taken before.
        page.add_init_script("addEventListener('dial', (event) => { event.preventDefault(); sessionStorage.dialled = event.detail; });")
        page.goto(f"{live_server.url}/sign-in")
        page.fill("#id_login", login)
        page.fill("#id_password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/sign-in" not in url)
        return page

    yield open_page
    assert faults == []
