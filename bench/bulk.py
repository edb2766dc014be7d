"""Many duties changed at once, against the same changes one after another through the same pages.

Through Django's own client, middleware, sessions, templates and row-level security included, as the township's desk works:
a single change is the page of the call opened and its answer sent; the bulk one is the lines chosen, the list made, what
would happen looked at, and done. Then a whole filtered list of `ROWS` duties is looked at, done, and taken back as one.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from bench.harness import Report, Sizes, quiet
from bench.server import superuser

ROWS, ROUNDS = 5_000, 3
SINGLE = 300  # changes one after another, and as many at once
WARM = 5
_HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
_MANY = "连云港市灌云县杨集镇镇东村委会{n}号"
_FEW = "连云港市连云区板桥街道板桥社区居委会{n}号"
_STANDS = "SELECT kind, subject, key, owner, scope FROM loop WHERE closed_at IS NULL ORDER BY 1, 2, 3"


def run(report: Report, sizes: Sizes) -> None:
    from bihuan.site import setup

    few = min(SINGLE, max(20, sizes.rows // 10))
    report.say(f"a list of {sizes.rows + 2 * (few * sizes.rounds + WARM):,} people")
    _take_in(_people(sizes.rows, _MANY, "139") + _people(2 * (few * sizes.rounds + WARM), _FEW, "138"))
    with superuser() as server, setup.acting("app"):
        server.execute("ANALYZE")
        _few(Report("warm"), server, WARM, ("single", "bulk"))  # what a process loads once is nobody's change
        for no in range(sizes.rounds):
            report.say(f"round {no + 1}")
            _few(report, server, few, ("single", "bulk") if no % 2 else ("bulk", "single"))
            _many(report, server, sizes.rows)
    with setup.acting("work"):
        from bihuan.loops import verify

        report.must("the accounts balance afterwards", verify.verify().ok)


def _people(n: int, address: str, phone: str) -> str:
    return "".join(
        f"{'赵钱孙李周吴郑王冯陈'[i % 10]}小{chr(0x4E00 + i % 5000)},,{phone}{i:08d},上海市,2022-08-27 10:00,{address.format(n=i)}\n"
        for i in range(n)
    )


def _take_in(lines: str) -> None:
    from bihuan.access import queries as access
    from bihuan.intake import actions
    from bihuan.kernel import ids
    from bihuan.site import demo

    post = access.post_of("console")
    stored = actions.store(
        by=post, event=demo.event(), kind="leads", source="community", name="bench.csv", data=(_HEAD + lines).encode(), act=ids.new_id()
    )
    file = actions.process(stored.file, by=post)
    if file.state != "done":
        raise RuntimeError(str(file.refusal))


def _client(login: str) -> Any:
    from django.test import Client

    from bihuan.access import queries as access

    post = access.post_of(login)
    made = Client(headers={"host": "localhost"})
    made.force_login(post.officer)
    session = made.session
    session["post"] = post.id
    session.save()
    return made


def _open(server: Any, address: str, limit: int) -> list[tuple[int, UUID]]:
    """Open verifications (and their leads) of the people of one of the two villages."""
    return server.execute(
        "SELECT l.id, d.id FROM loop l JOIN lead d ON d.subject = l.subject JOIN unit u ON u.id = l.owner"
        " WHERE l.closed_at IS NULL AND l.kind = 'leads.verify' AND u.name LIKE %s ORDER BY l.id LIMIT %s",
        (address, limit),
    ).fetchall()


def _hidden(answer: Any, name: str) -> str:
    return re.search(rf'name="{name}" value="([^"]+)"', answer.content.decode())[1]


def _few(report: Report, server: Any, n: int, order: tuple[str, ...]) -> None:
    desk = _client("zhen")
    for way in order:
        duties = _open(server, "%板桥社区%", n)
        quiet(server)
        if way == "single":
            with report.timed("single s"):
                for _loop, lead in duties:
                    form = {"fact_id": _hidden(desk.get(f"/leads/{lead}/act"), "fact_id")}
                    answer = desk.post(f"/leads/{lead}/act", form | {"outcome": "at_home", "arrived_on": "2022-08-27", "treatment": "no"})
                    assert answer.status_code == 302, answer.content.decode()[:500]
        else:
            with report.timed("bulk s"):
                plan = _planned(desk, {"loop": [loop for loop, _lead in duties]})
                answer = desk.post(plan)
                assert answer.status_code == 302
        ids_of = [loop for loop, _lead in duties]
        left = server.execute("SELECT count(*) FROM loop WHERE id = ANY(%s) AND closed_at IS NULL", (ids_of,)).fetchone()[0]
        report.must(f"{way}: all are changed", left == 0 and len(duties) == n)
    report.notes["changes"] = n
    report.ratio("single_to_bulk", report.samples["single s"][-1], report.samples["bulk s"][-1])


def _planned(desk: Any, chosen: dict[str, Any]) -> str:
    """The list made, its page, what is to be said of it, and what would happen."""
    from bihuan.kernel import ids

    made = desk.post("/lists", {"act": str(ids.new_id()), **chosen})
    assert made.status_code == 302, made.content.decode()[:500]
    act = _hidden(desk.get(made["Location"]), "act")
    form = {"act": act, "verb": "here", "since": "2022-08-27", "medical": "none"}
    plan = desk.post(f"{made['Location']}/plan", form)["Location"]
    assert desk.get(plan).status_code == 200
    return plan


def _many(report: Report, server: Any, n: int) -> None:
    desk, before = _client("xian"), server.execute(_STANDS).fetchall()
    quiet(server)
    with report.timed("many: previewed s"):
        plan = _planned(desk, {"which": "all", "state": "all", "kind": "leads.verify"})
    report.must("many: looking at it changes nothing", server.execute(_STANDS).fetchall() == before)
    with report.timed("many: done s"):
        assert desk.post(plan).status_code == 302
    done = server.execute("SELECT count(*) FROM loop WHERE kind = 'leads.sample' AND closed_at IS NULL AND owner IN"
                          " (SELECT id FROM unit WHERE name LIKE '%%镇东%%')").fetchone()[0]  # fmt: skip
    report.must("many: all are done", done == n)
    longest = server.execute("SELECT count(*) FROM bulk_part WHERE act = %s", (plan.rsplit("/", 1)[1],)).fetchone()[0]
    report.add("many: parts", longest)
    with report.timed("many: taken back s"):
        assert desk.post(f"/undo/{plan.rsplit('/', 1)[1]}").status_code == 302
    report.must("many: taken back whole", server.execute(_STANDS).fetchall() == before)
    took = [report.samples[f"many: {what} s"][-1] for what in ("previewed", "done", "taken back")]
    report.add("many: a part s", report.samples["many: done s"][-1] / longest)
    report.ratio("many_to_few_each", sum(took) / n, report.samples["single s"][-1] / report.notes["changes"])
