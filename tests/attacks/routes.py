"""The addresses of the product as the resolver knows them, and routes.toml as requests."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import URLPattern, URLResolver, get_resolver
from tests.attacks.world import ORDER, Place, World

from bihuan.access.permissions import Permission, Role
from bihuan.kernel import ids

TABLE = Path(__file__).with_name("routes.toml")
LISTED: dict[str, dict[str, Any]] = tomllib.loads(TABLE.read_text(encoding="utf-8"))
WORDS = {"may", "as", "by", "query", "form", "also", "get", "post", "hidden", "changes"}
PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")


def known() -> list[str]:
    """Every address that the resolver answers to, as Django writes it."""

    def walk(patterns: list[Any], before: str) -> list[str]:
        found: list[str] = []
        for pattern in patterns:
            here = before + str(pattern.pattern)
            found += (
                walk(pattern.url_patterns, here) if isinstance(pattern, URLResolver) else [here] if isinstance(pattern, URLPattern) else []
            )
        return found

    return list(dict.fromkeys(walk(get_resolver().url_patterns, "/")))


@dataclass
class Request:
    """An address filled in: `path`, `query`, `form`."""

    path: str
    query: dict[str, Any]
    form: dict[str, Any]

    @property
    def url(self) -> str:
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


@dataclass(frozen=True)
class Route:
    """A row of routes.toml."""

    address: str

    @property
    def row(self) -> dict[str, Any]:
        return LISTED[self.address]

    @property
    def permissions(self) -> list[Permission]:
        may = self.row["may"]
        return [] if may in ("public", "signed-in") else [Permission(p) for p in ([may] if isinstance(may, str) else may)]

    @property
    def is_public(self) -> bool:
        return self.row["may"] == "public"

    @property
    def role(self) -> Role:
        """Who does it."""
        if "as" in self.row:
            return Role(self.row["as"])
        return next(role for role in [*ORDER, *Role] if set(self.permissions) <= role.permissions)

    @property
    def denied(self) -> list[Role]:
        return [role for role in Role if not set(self.permissions) <= role.permissions]

    @property
    def hidden(self) -> list[int]:
        """The answers to what is another's or nowhere."""
        said = self.row.get("hidden", 404)
        return said if isinstance(said, list) else [said]

    def well(self, method: str) -> list[int]:
        """The answers when all is well."""
        said = self.row.get(method, 200 if method == "get" else 302)
        return said if isinstance(said, list) else [said]

    @property
    def takes_post(self) -> bool:
        return "form" in self.row

    @property
    def names(self) -> list[tuple[str, str]]:
        """(where, name) of every value that names a thing of a place: in the address, the query or the form."""
        found = [("path", name) for _kind, name in PARAMETER.findall(self.address)]
        for part in ("query", "form"):
            found += [(part, name) for name, value in self.row.get(part, {}).items() if is_thing(value) and value != "@upload"]
        return found

    def things(self, world: World, place: Place) -> dict[tuple[str, str], Any]:
        """One thing of a place for each name; those of one address are taken once, so that others find theirs untouched."""
        made = {key: world.take(place, self.thing(*key)) for key in self.names}
        if "@upload" in self.row.get("form", {}).values():
            made["form", "file"] = world.take(place, "upload")
        return made

    def thing(self, where: str, name: str) -> str:
        return self.row.get(name, name) if where == "path" else self.row[where][name][1:]

    def missing(self, where: str, name: str) -> Any:
        """What names nothing at all, of the same form."""
        kind = {n: k for k, n in PARAMETER.findall(self.address)}.get(name, "") if where == "path" else ""
        return ids.new_id() if kind == "uuid" or self.thing(where, name) in ("verified", "done", "device") else 999_999_999

    def fill(self, things: dict[tuple[str, str], Any]) -> Request:
        path = PARAMETER.sub(lambda found: str(things["path", found[2]]), self.address)
        parts = {
            part: {
                name: SimpleUploadedFile("补报.csv", things[part, name])
                if value == "@upload"
                else things[part, name]
                if is_thing(value)
                else str(ids.new_id())
                if value == "@new"
                else value
                for name, value in self.row.get(part, {}).items()
            }
            for part in ("query", "form")
        }
        return Request(path, **parts)


def is_thing(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("@") and value != "@new"


def pages() -> list[Route]:
    """Addresses that answer GET with a page when all is well."""
    return [
        r for r in all_routes() if 200 in r.well("get") and not r.address.endswith((".xlsx", ".csv", "/healthz", "/progress", "/figures"))
    ]


def all_routes() -> list[Route]:
    return [Route(address) for address in LISTED]
