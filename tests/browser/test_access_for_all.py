"""Every page for everybody: axe, both languages, light and dark, large type, narrow screens, the keyboard; and nobody's
name is ever a program. The pages are those of tests/attacks/routes.toml, so a new page is looked at as soon as it is listed.
"""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from tests.attacks import routes, world
from tests.conftest import database_from, serving

from bihuan.access.permissions import Role
from bihuan.site.home import SOURCE

# A picture and a script that tell when they run; marks that turn text around or hide in it; characters beyond the first plane.
EVIL = "\U00020bb7\u202e\u200b\"'><img src=x onerror=window.hit=1><svg onload=window.hit=1></svg><script>window.hit=1</script>{{7*7}}"
AXE = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "resultTypes": ["violations"],
    # Sizes are measured below, by the stricter 44 px on a telephone.
    "rules": {"target-size": {"enabled": False}},
}
COMBINATIONS = [("zh-hans", "light", 1440), ("en", "dark", 360)]
if os.environ.get("BIHUAN_LOOK") == "all":  # the other half, before a release: it adds half a minute
    COMBINATIONS += [("en", "light", 1440), ("zh-hans", "dark", 360)]


@pytest.fixture(scope="module")
def seen(city_template: str, _chromium) -> Iterator[Any]:
    """`open(role, language=…, scheme=…, width=…)` gives a page of somebody of 板桥 who has signed in, in a world of evil names."""
    from bihuan.policy import installation

    with contextlib.ExitStack() as stack:
        name = stack.enter_context(database_from(city_template))
        installation.forget()
        made = world.make(EVIL)
        things = {r.address: r.things(made, made.here) for r in routes.all_routes()}
        world.poison(made.here)
        live = stack.enter_context(serving(name))
        contexts: dict[tuple, Any] = {}

        def open_page(who: Role | str | None, language: str = "zh-hans", scheme: str = "light", width: int = 1440) -> Any:
            login = made.here.logins[who] if isinstance(who, Role) else who
            key = (login, language, scheme, width)
            if key not in contexts:
                context = _chromium.new_context(
                    locale="zh-CN",
                    timezone_id="Asia/Shanghai",
                    color_scheme=scheme,
                    reduced_motion="reduce",
                    viewport={"width": width, "height": 800},
                )
                cookies = [{"name": "django_language", "value": language, "url": live.url}]
                if login is not None:
                    cookies.append({"name": "sessionid", "value": world.client(login).cookies["sessionid"].value, "url": live.url})
                context.add_cookies(cookies)
                page = contexts[key] = context.new_page()
                page.add_init_script(
                    "document.addEventListener('securitypolicyviolation', (e) => { (window.refused ??= []).push(`${e.violatedDirective} ${e.sourceFile}`); });"
                )
                page.add_init_script(AXE_SCRIPT)
                page.faults = []
                page.on("pageerror", lambda error, page=page: page.faults.append(str(error)))
                page.on("dialog", lambda dialog, page=page: (page.faults.append(dialog.message), dialog.dismiss()))
            return contexts[key]

        yield SimpleNamespace(open=open_page, url=live.url, world=made, things=things)
        for page in contexts.values():
            page.context.close()
        installation.forget()


def sideways(page: Any) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")


# Links in a running text may be as high as the text; everything else is pressed with a thumb, what is folded away too: unfolded.
SMALL = """() => {
const folded = [...document.querySelectorAll('details:not([open])')];
folded.forEach((box) => { box.open = true; });
const small = [...document.querySelectorAll('a, button, summary, select, input:not([type=hidden]), textarea')].filter((e) => {
  const box = e.getBoundingClientRect(), style = getComputedStyle(e);
  if (!box.width || !box.height || style.visibility === 'hidden' || style.opacity === '0' || e.closest('dialog:not([open]), .skip')) return false;
  if (e.matches('a') && style.display === 'inline') return false;
  const label = e.matches('input[type=checkbox], input[type=radio]') ? e.closest('label') : null;
  const pressed = label ? label.getBoundingClientRect() : box;
  return Math.min(pressed.width, pressed.height) < 43.5;
}).map((e) => `${e.outerHTML.slice(0, 120)} ${Math.round(e.getBoundingClientRect().width)}x${Math.round(e.getBoundingClientRect().height)}`);
folded.forEach((box) => { box.open = false; });
return small; }"""


def looked_at(page: Any, url: str, narrow: bool) -> list[str]:
    """What is wrong with a page, in words."""
    answer = page.goto(url)
    found = [f"answered {answer.status}"] if answer.status >= 500 else []
    if "<html" not in answer.text()[:400]:
        return found  # a part that a page fetches is looked at within that page
    violations = page.evaluate("async (options) => (await axe.run(document, options)).violations", AXE)
    found += [
        f"axe {v['impact']} {v['id']}: {[n['html'][:160] for n in v['nodes'][:3]]} {v['nodes'][0].get('failureSummary', '')[:200]}"
        for v in violations
        if v["impact"] in ("serious", "critical")
    ]
    if page.evaluate("window.hit") is not None:
        found.append("a name was run as a program")
    if page.locator("img[src=x], svg[onload]").count():
        found.append("a name became a part of the page")
    if refused := page.evaluate("window.refused || []"):
        found.append(f"the policy refused {refused}")
    found += [f"fault {fault}" for fault in page.faults]
    page.faults.clear()
    if narrow:
        found += [f"too small for a thumb: {small}" for small in page.evaluate(SMALL)]
        for width in (360, 320):
            page.set_viewport_size({"width": width, "height": 800})
            if sideways(page):
                found.append(f"scrolls sideways at {width}: {page.evaluate(WIDEST)}")
        page.evaluate("document.documentElement.dataset.size = 'large'")
        if sideways(page):
            found.append(f"scrolls sideways at 320 in large type: {page.evaluate(WIDEST)}")
    return found


WIDEST = """() => [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll'))
  .slice(0, 3).map((e) => e.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize(("language", "scheme", "width"), COMBINATIONS)
def test_every_page(seen, language, scheme, width):
    """0 serious or critical by axe (WCAG 2.2 AA); a name is text; at 360 and 320 px nothing scrolls sideways or is too small."""
    wrong = {}
    for route in routes.pages():
        who = None if route.is_public else route.row.get("by") or route.role
        page = seen.open(who, language, scheme, width)
        page.set_viewport_size({"width": width, "height": 800})
        request = route.fill(seen.things[route.address])
        if route.takes_post and page.request.get(seen.url + request.url).status == 405:
            continue  # a form's address alone is no page
        if found := looked_at(page, seen.url + request.url, width == 360):
            wrong[route.address] = found
    for url in ("/leads/0190aaaa-bbbb-7ccc-8ddd-eeeeffff0001", "/no/such/page"):
        if found := looked_at(seen.open(Role.VILLAGE_WORKER, language, scheme, width), seen.url + url, width == 360):
            wrong[url] = found
    assert wrong == {}, json.dumps(wrong, ensure_ascii=False, indent=1)


def test_the_policy_refuses_what_is_written_into_a_page(seen):
    """The second wall: were a name ever to become a part of the page, it still would not run."""
    page = seen.open(Role.VILLAGE_WORKER)
    page.goto(seen.url + "/duties")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.walled=1>')")
    page.evaluate("(() => { const s = document.createElement('script'); s.textContent = 'window.walled = 2'; document.body.append(s); })()")
    page.wait_for_function("(window.refused || []).length >= 2")
    assert page.evaluate("window.walled") is None


def test_a_name_is_text_where_it_stands_whole_and_on_paper(seen):
    """The unmasked person, the printed list, the name of a file that is downloaded."""
    page = seen.open(Role.VILLAGE_WORKER)
    lead = seen.world.here.things["verify"][-1]
    page.goto(f"{seen.url}/leads/{lead}")
    form = page.locator(f"form[action='/leads/{lead}/unmask']")
    form.evaluate(
        "(f) => { f.closest('details')?.setAttribute('open', ''); f.querySelector('[name=purpose]').value = 'visit'; const r = f.querySelector('[type=radio][value=visit]'); if (r) r.checked = true; f.requestSubmit(); }"
    )
    page.wait_for_url(f"**/leads/{lead}/unmask")
    assert "onerror=window.hit=1" in page.locator("main").inner_text(), "the whole name and address are read as text"
    page.goto(f"{seen.url}/duties")
    page.emulate_media(media="print")
    page.pdf()
    page.emulate_media(media="screen")
    assert page.evaluate("window.hit") is None
    assert page.faults == []
    desk, file = world.client(seen.world.here.logins[Role.COUNTY_DESK]), seen.world.here.things["file"][0]
    for part in ("marked.xlsx", "rows.csv"):
        header = desk.get(f"/intake/{file}/{part}").headers["Content-Disposition"]
        assert re.fullmatch(r"attachment; filename\*=UTF-8''[\w.%()-]+", header), header


def tab_to(page: Any, condition: str, most: int = 120) -> None:
    """By Tab alone; on the way the focus is always seen."""
    for _ in range(most):
        page.keyboard.press("Tab")
        unseen = page.evaluate(
            "(() => { const e = document.activeElement; if (e === document.body) return ''; const s = getComputedStyle(e), l = e.id && document.querySelector(`label[for='${e.id}']`);"
            " const o = (x) => x && getComputedStyle(x).outlineStyle !== 'none' && parseFloat(getComputedStyle(x).outlineWidth) >= 2;"
            " return o(e) || o(l) || o(e.parentElement) || o(e.closest('label')) ? '' : e.outerHTML.slice(0, 120); })()"
        )
        assert unseen == "", f"the focus is not seen on {unseen}"
        if page.evaluate(f"(() => {{ const e = document.activeElement; return {condition}; }})()"):
            return
    pytest.fail(f"no {condition} by keyboard")


def test_core_tasks_without_a_mouse(seen):
    """Reach the work, find a person, see who it is, answer the call, say what is awkward, make the type large, change the language."""
    page = seen.open(Role.TOWNSHIP_DESK, width=1280)
    page.goto(f"{seen.url}/duties")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    tab_to(page, "e.matches('input[type=search], input[name=q]')")
    page.keyboard.press("Enter")
    page.wait_for_load_state()

    page.goto(f"{seen.url}/duties")
    tab_to(page, "e.matches('nav.tabs a[href=\"/people\"]')")
    page.keyboard.press("Enter")
    page.wait_for_url("**/people")
    tab_to(page, "e.name === 'q'")
    page.keyboard.type(seen.world.here.phone + "000030")
    page.keyboard.press("Enter")
    page.wait_for_selector("a[href^='/leads/']")
    tab_to(page, "e.matches('main a[href^=\"/leads/\"]')")
    page.keyboard.press("Enter")
    page.wait_for_url("**/leads/*")
    tab_to(page, "e.matches('details.menu > summary, .menu > summary')")
    page.keyboard.press("Enter")
    assert page.locator("details.menu[open]").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("details.menu[open]").count() == 0
    assert page.evaluate("document.activeElement.matches('summary')"), "the focus goes back to what opened the menu"

    tab_to(page, "e.matches('a[href^=\"/feedback\"]')")
    page.keyboard.press("Enter")
    page.wait_for_url("**/feedback?*")
    tab_to(page, "e.id === 'text'")
    page.keyboard.type("时间的字太小")
    tab_to(page, "e.matches('form[action=\"/feedback\"] button')")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=时间的字太小")

    tab_to(page, "e.matches('[data-size-toggle]')")
    page.keyboard.press("Enter")
    assert page.evaluate("getComputedStyle(document.documentElement).fontSize") == "20px"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.size") == "large", "it is kept"
    sizes = page.evaluate(
        "[...document.querySelectorAll('body *')].filter((e) => e.childNodes.length && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && e.offsetParent).map((e) => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 18
    tab_to(page, "e.matches('[data-size-toggle]')")
    page.keyboard.press("Enter")
    tab_to(page, "e.matches('button[lang=en]')")
    page.keyboard.press("Enter")
    page.wait_for_selector("html[lang=en]")


def test_nothing_moves_for_who_wants_it_still(seen):
    page = seen.open(Role.TOWNSHIP_DESK)  # the contexts here ask for reduced motion
    page.goto(f"{seen.url}/duties")
    assert page.evaluate("[...document.getAnimations()].length") == 0
    moving = "[...document.styleSheets].flatMap((s) => [...s.cssRules]).filter((r) => r.style && (r.style.animation || r.style.transition)).map((r) => r.cssText)"
    assert page.evaluate(moving) == [], "what moves stands inside @media (prefers-reduced-motion: no-preference)"


def _texts_of_template(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    for found in re.findall(r"{%\s*(?:translate|trans)\s+(['\"])(.*?)\1|_\((['\"])(.*?)\3\)", text):
        yield found[1] or found[3]
    for whole in re.findall(r"{%\s*blocktranslate\b.*?%}(.*?){%\s*endblocktranslate", text, re.DOTALL):
        one = re.split(r"{%\s*plural\s*%}", whole)[0]
        yield re.sub(r"{{\s*(\w+)\s*}}", r"%(\1)s", one.replace("%", "%%"))


def _texts_of_program(path: Path) -> Iterator[str]:
    names = {"_", "_lazy", "gettext", "gettext_lazy", "ngettext", "pgettext"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            said = node.args[1] if node.func.id == "pgettext" else node.args[0]
            if isinstance(said, ast.Constant) and isinstance(said.value, str):
                yield said.value


def _strings(message: Any) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string)


def test_every_sentence_has_its_english():
    """No entry of the translations is empty, fuzzy or still Chinese, and every text of templates and programs has one."""
    from babel.messages.mofile import read_mo
    from babel.messages.pofile import read_po

    locale = SOURCE / "site" / "locale" / "en" / "LC_MESSAGES" / "django.po"
    with locale.open("rb") as file:
        catalogue = read_po(file)
    entries = {m.id if isinstance(m.id, str) else m.id[0]: m for m in catalogue if m.id}
    empty = [k for k, m in entries.items() if not (m.string if isinstance(m.string, str) else all(m.string)) or m.fuzzy]
    assert empty == []
    with locale.with_suffix(".mo").open("rb") as file:
        compiled = {m.id if isinstance(m.id, str) else m.id[0]: _strings(m) for m in read_mo(file) if m.id}
    assert compiled == {k: _strings(m) for k, m in entries.items()}, "compile: pybabel compile -D django -d src/bihuan/site/locale -l en"
    asked = {(path.name, text) for path in (SOURCE / "site" / "templates").rglob("*.html") for text in _texts_of_template(path)}
    asked |= {(path.name, text) for path in SOURCE.rglob("*.py") for text in _texts_of_program(path)}
    assert sorted((where, text) for where, text in asked if text not in entries and re.search(r"[一-鿿]", text)) == []
    assert Path(locale).exists()
