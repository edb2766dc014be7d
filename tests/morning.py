"""What the tests of the morning share: lists in, state out, as an officer of the demonstration."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from bihuan.access import queries as access
from bihuan.intake import actions, queries
from bihuan.intake.models import IntakeFile
from bihuan.kernel import ids
from bihuan.kernel.refused import Refused

EVENT = 1


def take_in(name: str, data: bytes, source: str, login: str = "console") -> tuple[IntakeFile, dict[str, Any], list[dict[str, Any]]]:
    """A file through store and process; its accounts and rows. A refused file raises its refusal."""
    post = access.post_of(login)
    stored = actions.store(by=post, event=EVENT, kind="leads", source=source, name=name, data=data, act=ids.new_id())
    if isinstance(stored, Refused):
        raise stored
    file = actions.process(stored.file, by=post)
    if file.state == "refused":
        raise Refused(**file.refusal)
    accounts = queries.accounts(file)
    counts = [accounts[n] for n in ("created", "changed", "unchanged", "duplicate", "rejected")]
    assert sum(counts) == accounts["rows"]
    return file, accounts, queries.rows(post, file.id)


def linkage(rows_of: Mapping[str, list[dict[str, Any]]], truth: Mapping[str, Any]) -> tuple[float, float, list]:
    """Precision and recall over pairs of rows, and rows whose refusal differs from the truth.

    Rows of which the truth says `either` are left out of the pairs.
    """
    found: dict[tuple, str] = {}
    true: dict[tuple, Any] = {}
    wrong = []
    for name, rows in rows_of.items():
        by_line = {(row["sheet"], row["row"]): row for row in rows}
        expected = truth["files"][name]["rows"]
        several = any("sheet" in row for row in expected)
        for row in expected:
            sheet = row["sheet"] if several else next(iter(by_line))[0]
            got = by_line.pop((sheet, row["row"]), None)
            if got is None or (got["reason"] or None) != row["reject"]:
                wrong.append((name, row, got))
            elif row["reject"] is None and not row.get("either"):
                found[name, sheet, row["row"]], true[name, sheet, row["row"]] = got["subject"], row["person"]
        wrong += [(name, None, row) for row in by_line.values()]
    predicted, gold = _pairs(found), _pairs(true)
    both = len(predicted & gold)
    return both / max(1, len(predicted)), both / max(1, len(gold)), wrong


def _pairs(of: Mapping[tuple, Any]) -> set[frozenset]:
    groups = defaultdict(list)
    for row, person in of.items():
        groups[person].append(row)
    return {frozenset(pair) for rows in groups.values() for pair in itertools.combinations(rows, 2)}


STATE = {
    "clusters": "SELECT subject::text, root::text FROM cluster ORDER BY 1",
    "duties": """
        SELECT coalesce(c.root, l.subject)::text, l.kind, l.key, l.owner, l.scope, l.offered_to FROM loop l
        LEFT JOIN cluster c ON c.subject = l.subject WHERE l.closed_at IS NULL ORDER BY 1, 2, 3""",
    "leads": """
        SELECT c.root::text, l.key, l.desk, l.precision, l.sources, l.n_reports, l.arrived_from, l.arrived_to
        FROM lead l JOIN cluster c ON c.subject = l.subject WHERE l.merged_into IS NULL ORDER BY 1, 2""",
}


def state(connection) -> dict[str, list]:
    """Clusters, open duties and leads, by person: what must not depend on the order in which lists came."""
    return {name: connection.execute(sql).fetchall() for name, sql in STATE.items()}


def count(connection, sql: str, *parameters) -> int:
    return connection.execute(sql, parameters).fetchone()[0]
