"""Near names: what is asked about, what is not, and that nothing is joined before somebody answers."""

from __future__ import annotations

import pytest
from tests.unit.identity.test_actions import aliases, gaps, see, state

from bihuan.identity import actions
from bihuan.identity.near import likeness, names_a_door

ANN, ANNS_SISTER = "320706198001010019", "320706198301010020"
DOOR, VILLAGE = "云台街道山东村3组12号", "云台街道山东村"


@pytest.mark.parametrize(
    ("x", "y", "like"),
    [
        ("王小梅", "王小梅", "same"),
        ("买买提·吐尔逊", "买买提吐尔逊", "same"),
        ("王小梅", "王晓玫", "sound"),
        ("黄小凤", "王晓风", "sound"),
        ("王䶮", "王YAN", "sound"),
        ("王小梅", "王小海", "one"),
        ("王小梅", "王梅", "one"),
        ("王□梅", "王小梅", "one"),
        ("王小梅", "李小梅", ""),
        ("王梅", "王兰", ""),
        ("王小梅", "张大海", ""),
        ("MARIAGARCIA", "GARCIAMARIA", "order"),
        ("MARIAGARCIA", "MARIAGARCYA", "one"),
        ("吐尔逊·买买提", "买买提·吐尔逊", "order"),
        ("", "", ""),
    ],
)
def test_how_two_names_are_alike(x, y, like):
    assert (likeness(x, y), likeness(y, x)) == (like, like)


def test_a_village_is_no_door():
    assert names_a_door(DOOR)
    assert names_a_door("板桥社区居委会3号楼201室")
    assert not names_a_door(VILLAGE)


NEAR = {
    "one phone, one sound": [("王小梅", ANN, "13800000001", None), ("王晓玫", None, "13800000001", None)],
    "one phone, one character": [("王小梅", ANN, "13800000001", None), ("王小海", None, "13800000001", None)],
    "a passport and an ID": [("王小梅", ANN, "13800000001", None), ("王小梅", "E12345678", "13800000001", None)],
    "one door, one name, two phones": [("王小梅", None, "13800000001", DOOR), ("王小梅", None, "13800000002", DOOR)],
}
FAR = {
    "everybody has one resident ID": [("王小梅", ANN, "13800000001", DOOR), ("王晓玫", ANNS_SISTER, "13800000001", DOOR)],
    "a family": [("王小梅", ANN, "13800000001", None), ("李大山", None, "13800000001", None)],
    "a village": [("王小梅", None, "13800000001", VILLAGE), ("王小梅", None, "13800000002", VILLAGE)],
    "nothing but the name": [("王小梅", None, "13800000001", None), ("王小梅", None, "13800000002", DOOR)],
    "a workplace's phone": [(f"王小{c}", None, "13800000001", None) for c in "一二三四五六七八"],
}


def test_what_is_asked_about_and_what_is_not(world, as_role, acting):
    for no, (why, rows) in enumerate([*NEAR.items(), *FAR.items()]):
        before = state(as_role)[2]
        # Each case with people of its own: other surnames, documents and phones.
        other = "王李张刘陈杨赵黄周"[no]
        rows = [
            (n.replace("王", other), d and (d[:5] + str(no) + d[6:]), f"{p[:6]}{no}{p[7:]}", a and f"{a}".replace("山东", f"山{no}东"))
            for n, d, p, a in rows
        ]
        a, b = aliases(world.bring(rows))[:2]
        asked = state(as_role)[2] - before
        assert asked == ({(max(a, b), min(a, b))} if why in NEAR else set()), why
        assert state(as_role)[0][a] != state(as_role)[0][b], "nothing is joined by itself"
    assert gaps(acting) == []


def test_the_answer_ends_the_question_and_is_not_asked_again(world, as_role, acting):
    ann, near = aliases(world.bring(NEAR["one phone, one sound"]))
    a, b = max(ann, near), min(ann, near)
    with as_role("work") as db:
        assert db.execute("SELECT likeness FROM doubted").fetchall() == [("phone sound",)]
    see(as_role, world.city, ann, near)
    actions.settle(by=world.city, event=world.event, a=a, b=b, same=False, reason="是姐妹")
    world.bring([("王晓玫", None, "13800000001", DOOR)])
    assert state(as_role)[2] == set()
    see(as_role, world.city, ann, near)
    actions.link(by=world.city, event=world.event, a=a, b=b, reason="本人说明")
    assert state(as_role)[0][near] == ann
    assert gaps(acting) == []


def test_a_phone_of_many_tells_nothing_any_more(world, as_role, acting):
    rows = [(f"王小{c}", None, "13800000001", None) for c in "一二三四五六七八"]
    world.bring(rows[:3])
    assert len(state(as_role)[2]) == 3
    world.bring(rows[3:])
    assert state(as_role)[2] == set()
    assert gaps(acting) == []
