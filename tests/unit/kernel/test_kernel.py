"""The kernel: ids, clock, names, masks, encryption."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from bihuan.kernel import clock, crypto, ids, text
from bihuan.kernel.refused import Refused

KEYS = crypto.Keys(bytes(range(32)))


def test_ids_are_version_7_in_order_and_carry_their_time():
    made = [ids.new_id() for _ in range(500)]
    assert made == sorted(made)
    assert len(set(made)) == 500
    assert {(i.version, i.variant) for i in made} == {(7, "specified in RFC 4122")}
    at = datetime(2022, 8, 28, tzinfo=UTC)
    assert ids.time_of(ids.new_id(at)) == at
    assert ids.lowest_id(at) <= ids.new_id(at) < ids.lowest_id(at + timedelta(milliseconds=1))


def test_what_follows_from_an_act_is_computed_and_distinct():
    act, other = ids.new_id(), ids.new_id()
    assert ids.derived_id(act, "voided", 1) == ids.derived_id(act, "voided", 1)
    assert len({ids.derived_id(a, k, n) for a in (act, other) for k in ("x", "y") for n in range(50)}) == 200
    assert ids.derived_id(act, "ab", "c") != ids.derived_id(act, "a", "bc")
    assert ids.derived_id(act, 1).version == 7
    assert ids.time_of(ids.derived_id(act, 1)) == ids.time_of(act)


def test_the_clock_moves_by_its_offset_and_stands_when_frozen(monkeypatch):
    at = datetime(2022, 8, 27, 16, 30, tzinfo=UTC)
    monkeypatch.setattr(clock, "_source", lambda: (timedelta(0), at))
    assert clock.now() == at
    assert clock.today() == date(2022, 8, 28), "a day is a day of Asia/Shanghai"
    assert clock.day_start(date(2022, 8, 28)) == datetime(2022, 8, 27, 16, tzinfo=UTC)
    monkeypatch.setattr(clock, "_source", lambda: (timedelta(days=-1), None))
    assert abs(clock.real_now() - timedelta(days=1) - clock.now()) < timedelta(seconds=5)
    assert clock.parse_local("2022-08-28 08:00") == datetime(2022, 8, 28, tzinfo=UTC)
    assert clock.parse_local("2022-08-28T08:00+09:00") == datetime(2022, 8, 27, 23, tzinfo=UTC)
    with pytest.raises(ValueError, match="isoformat"):
        clock.parse_local("昨天")


@pytest.mark.parametrize(
    ("one", "other"),
    [("彭 霞", "彭霞"), ("阿依古丽•买买提", "阿依古丽·买买提"), ("ＷＡＮＧ　Ｍｅｉ", "wangmei"), ("王小梅\u200b", "王小梅")],
)
def test_two_spellings_of_a_name_have_one_key(one, other):
    assert text.name_key(one) == text.name_key(other) != ""


def test_different_names_have_different_keys_and_rare_characters_stay():
    assert text.name_key("林琪䶮") == "林琪䶮"
    assert text.name_key("王小梅") != text.name_key("王晓梅")
    assert text.name_key(None) == ""


def test_masks_show_what_tells_two_apart_and_no_more():
    assert [text.mask_name(n) for n in ("王小梅", "王梅", "欧阳小梅", "王", "")] == ["王*梅", "王*", "欧**梅", "*", "*"]
    assert text.mask_phone("13812345678") == "138****5678"
    assert text.mask_document("320723199001011234") == "320***********1234"
    assert text.mask_document("E12345678") == "*******78"
    assert text.digits("+86 138-1234 ５６７８") == "8613812345678"


@given(st.text(), st.binary(max_size=40))
def test_what_is_sealed_opens_only_with_its_key_and_its_record(plain, record):
    key = KEYS.derive("test")
    sealed = crypto.seal(key, plain.encode(), record)
    assert crypto.unseal(key, sealed, record) == plain.encode()
    assert crypto.seal(key, plain.encode(), record) != sealed
    for wrong_key, wrong_record in ((KEYS.derive("other"), record), (key, record + b"x")):
        with pytest.raises(InvalidTag):
            crypto.unseal(wrong_key, sealed, wrong_record)
    with pytest.raises(ValueError, match="unknown algorithm"):
        crypto.unseal(key, b"\x09" + sealed[1:], record)


@given(st.text(max_size=80))
def test_the_prepared_index_is_hmac(value):
    import hmac

    assert KEYS.index("document", value) == hmac.digest(KEYS.derive("index/document"), value.encode(), "sha256")[: crypto.INDEX_BYTES]
    assert KEYS.index("document", value) != KEYS.index("phone", value)


def test_data_keys_are_wrapped_and_bound_to_their_label():
    key = os.urandom(32)
    assert KEYS.unwrap(KEYS.wrap(key, "event/1"), "event/1") == key
    with pytest.raises(InvalidTag):
        KEYS.unwrap(KEYS.wrap(key, "event/1"), "event/2")


def test_a_master_key_that_others_can_read_is_not_used(tmp_path):
    path = tmp_path / "keys" / "master.key"
    first = crypto.Keys.from_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert crypto.Keys.from_file(path).derive("x") == first.derive("x")
    path.chmod(0o644)
    with pytest.raises(PermissionError):
        crypto.Keys.from_file(path)


def test_a_refusal_speaks_two_languages():
    refused = Refused("some_code", "中文。", "English.", "C7")
    assert (refused.sentence(), refused.sentence("en-gb"), refused.as_json()["where"]) == ("中文。", "English.", "C7")
    assert isinstance(ids.new_id(), UUID)
