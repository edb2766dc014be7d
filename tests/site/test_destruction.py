"""Whoever adds a table says what becomes of it when its event's personal data are destroyed."""

from __future__ import annotations

from django.db import connection

from bihuan.ledger import destruction

# What stays when an event's data go, and why: no person of an event stands in it.
KEPT = {
    "the ledger's own proof": {"seal", "destroyed_leaf", "ending", "destruction_begun", "destruction_certified"},
    "counts, no person": {"tally", "reckoning", "standing"},
    "rules and clocks": {"adoption", "adoption_proposal", "event", "installation", "rung", "tick", "job_run"},
    "the map of command": {"region", "region_scope", "unit", "unit_line"},
    "a fingerprint of the names of columns, and their order": {"intake_mapping"},
    "officers, not persons of an event": {
        "denied", "feedback", "whole_read",
        "officer", "post", "device", "passkey", "totp", "recovery_code", "attempt", "sign_in", "sign_in_code", "security_log",
    },
    "the framework's own": {"django_session", "django_cache", "django_migrations", "django_content_type", "auth_group",
                            "auth_permission", "auth_group_permissions"},
}  # fmt: skip


def test_every_table_goes_with_its_event_or_is_known_to_hold_no_person(db) -> None:
    """Say in the module's `ending.py` how its rows go (`destruction.register`), or name the table here with the reason."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
        )
        there = {name for (name,) in cursor.fetchall()}
    goes = {rows.table for rows in destruction.plan()}
    assert there - goes - set().union(*KEPT.values()) == set()


def test_what_goes_can_be_counted(db) -> None:
    """Each condition is SQL that works, on tables that are there."""
    from bihuan.site import setup

    with setup.acting("work"):
        found = destruction.count(1)
    assert set(found.values()) == {0}
    assert {"fact", "person", "identity", "intake_file", "lead", "loop", "handled"} <= found.keys()
