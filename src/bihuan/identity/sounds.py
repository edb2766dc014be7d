"""How names are spoken: full pinyin and initials for the search box, syllables for names that only sound alike.

Characters are read one by one, in the reading that a name has most often; a surname has its own (单 shan, not dan).
A table of phrases would read names as words, so none is loaded. ü is written v, as people type it.
"""

from __future__ import annotations

import functools
import os

# pypinyin reads this when it is imported: the phrases cost memory and start-up, and are wrong for names.
os.environ.setdefault("PYPINYIN_NO_PHRASES", "true")

# Readings that a character has as a surname only. Source: 现代汉语词典 (姓), common knowledge.
_SURNAMES = {
    "单": "shan", "單": "shan", "仇": "qiu", "区": "ou", "區": "ou", "曾": "zeng", "解": "xie", "查": "zha", "盖": "ge", "蓋": "ge",
    "朴": "piao", "任": "ren", "华": "hua", "華": "hua", "纪": "ji", "召": "shao", "缪": "miao", "繆": "miao", "覃": "qin", "宓": "mi",
    "冼": "xian", "洗": "xian", "员": "yun", "贠": "yun", "乜": "nie", "乐": "yue", "樂": "yue", "那": "na", "能": "nai", "秘": "bi",
    "卜": "bu", "折": "she", "种": "chong", "祭": "zhai", "翟": "zhai", "宿": "su", "佴": "nai", "郗": "xi", "隗": "wei", "逄": "pang",
    "过": "guo", "谌": "chen", "阚": "kan", "应": "ying", "盛": "sheng", "车": "che", "行": "xing", "繁": "po", "都": "du", "石": "shi",
    "干": "gan", "沈": "shen", "瀋": "shen", "叶": "ye", "佘": "she", "厍": "she", "晁": "chao", "句": "gou", "燕": "yan", "褚": "chu",
    "尹": "yin", "哈": "ha", "鲍": "bao", "薄": "bo", "柏": "bai", "藏": "zang", "臧": "zang", "万": "wan", "葛": "ge", "费": "fei",
    "尉": "wei", "贾": "jia", "殷": "yin", "长": "chang", "牟": "mou", "璩": "qu", "洪": "hong", "重": "chong", "黑": "he", "郇": "xun",
}  # fmt: skip
_DOUBLE_SURNAMES = {
    "尉迟": ("yu", "chi"), "长孙": ("zhang", "sun"), "万俟": ("mo", "qi"), "单于": ("chan", "yu"), "令狐": ("ling", "hu"),
    "澹台": ("tan", "tai"), "呼延": ("hu", "yan"), "亓官": ("qi", "guan"), "宰父": ("zai", "fu"), "皇甫": ("huang", "fu"),
    "鲜于": ("xian", "yu"), "闾丘": ("lv", "qiu"), "夏侯": ("xia", "hou"), "钟离": ("zhong", "li"), "濮阳": ("pu", "yang"),
}  # fmt: skip


@functools.lru_cache(maxsize=60_000)
def _of_sign(sign: str) -> str:
    """A character's commonest reading without tone; letters and digits stand for themselves, other signs for nothing."""
    if sign.isascii():
        return sign.lower() if sign.isalnum() else ""
    from pypinyin import Style, lazy_pinyin

    return "".join(lazy_pinyin(sign, style=Style.NORMAL, errors="ignore")).replace("ü", "v")


def syllables(name_key: str) -> tuple[str, ...]:
    """The syllables of a name as `kernel.text.name_key` writes it; a run of Latin letters is one. Unreadable signs are left out."""
    head = _DOUBLE_SURNAMES.get(name_key[:2])
    if head is None and name_key[:1] in _SURNAMES:
        head = (_SURNAMES[name_key[0]],)
    spoken = list(head or ())
    latin = ""
    for sign in name_key[len(spoken) :]:
        if sign.isascii() and sign.isalnum():
            latin += sign.lower()
            continue
        if latin:
            spoken.append(latin)
            latin = ""
        said = _of_sign(sign)
        if said:
            spoken.append(said)
    return (*spoken, latin) if latin else tuple(spoken)


def spoken(name_key: str) -> tuple[str, str]:
    """(full pinyin, initials) of a name: 王小梅 -> wangxiaomei, wxm. Both empty where nothing can be read."""
    said = syllables(name_key)
    return "".join(said), "".join(syllable[0] for syllable in said)


# Sounds that people of the lower Yangtze and the south do not tell apart, and so write one for the other over the
# telephone: flat and curled tongue, n and l, front and back nasal, 黄 and 王. Own choice.
_ALIKE = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"), ("huang", "wang"))


def blurred(name_key: str) -> str:
    """The name as it is heard by an ear that does not tell confusable sounds apart; equal for names that sound alike."""
    heard = []
    for said in syllables(name_key):
        for sound, as_heard in _ALIKE:
            if said.startswith(sound):
                said = as_heard + said[len(sound) :]
                break
        if said.endswith(("ang", "eng", "ing")):
            said = said[:-1]
        heard.append(said)
    return " ".join(heard)
