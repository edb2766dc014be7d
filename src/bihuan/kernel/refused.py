"""A refusal: a sentence for the officer, a stable code for the machine, and where to look."""

from __future__ import annotations


class Refused(Exception):
    """An act that cannot be done as asked. Nothing of it was done.

    `code` is stable and documented; `zh` and `en` say what, where and how to mend it; `where` is an address
    (a cell, a field, a record) or None.
    """

    def __init__(self, code: str, zh: str, en: str, where: str | None = None) -> None:
        super().__init__(code, zh, en, where)
        self.code, self.zh, self.en, self.where = code, zh, en, where

    def sentence(self, language: str = "zh") -> str:
        """The sentence in one of the two languages; anything but English is Chinese."""
        return self.en if language.startswith("en") else self.zh

    def as_json(self) -> dict[str, str | None]:
        return {"code": self.code, "zh": self.zh, "en": self.en, "where": self.where}

    def __str__(self) -> str:
        return f"{self.code}: {self.zh}"
