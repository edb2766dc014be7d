"""Who may read duties: those whose range holds the place, the owner, and the unit that is asked.

Counts of units name nobody and are read by every post. Read policies only: without the switch to `bihuan_engine` the application writes nothing here.
"""

from django.db import migrations

RANGE = "scope >= current_setting('bihuan.lo')::bigint AND scope < current_setting('bihuan.hi')::bigint"
UNIT = "current_setting('bihuan.unit')::int"
OF_LOOP = "EXISTS (SELECT 1 FROM loop l WHERE l.id = {table}.loop)"
OF_FACT = "EXISTS (SELECT 1 FROM fact f WHERE f.id = {table}.fact)"

READ = {
    "loop": f"({RANGE}) OR owner = {UNIT} OR offered_to = {UNIT}",
    "movement": OF_LOOP.format(table="movement"),
    "timer": OF_LOOP.format(table="timer"),
    "fired": f"unit = {UNIT} OR " + OF_LOOP.format(table="fired"),
    "handled": OF_FACT.format(table="handled"),
}


def policies() -> str:
    lines = []
    for table, reads in READ.items():
        lines.append(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;")
        lines.append(f"CREATE POLICY {table}_read ON {table} FOR SELECT TO bihuan_app USING ({reads});")
        lines.append(f"CREATE POLICY {table}_engine ON {table} TO bihuan_engine USING (true) WITH CHECK (true);")
    return "\n".join(lines)


def undo() -> str:
    return "\n".join(
        f"DROP POLICY {t}_read ON {t}; DROP POLICY {t}_engine ON {t}; ALTER TABLE {t} DISABLE ROW LEVEL SECURITY;" for t in READ
    )


class Migration(migrations.Migration):
    dependencies = [("loops", "0001_initial"), ("ledger", "0002_fact"), ("regions", "0001_initial")]
    operations = [migrations.RunSQL(policies(), undo())]
