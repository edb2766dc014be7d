"""What is said of two contents under one id is read by whoever may see the record about it."""

from django.db import migrations

TABLES = ("contradicted", "contradiction_settled")
DO = "\n".join(
    f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY {table}_read ON {table} FOR SELECT TO bihuan_app USING (EXISTS (SELECT 1 FROM fact f WHERE f.id = {table}.fact));
CREATE POLICY {table}_engine ON {table} TO bihuan_engine USING (true) WITH CHECK (true);
"""
    for table in TABLES
)
UNDO = "\n".join(
    f"DROP POLICY {table}_engine ON {table}; DROP POLICY {table}_read ON {table}; ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;"
    for table in TABLES
)


class Migration(migrations.Migration):
    dependencies = [("ledger", "0005_contradictions")]
    operations = [migrations.RunSQL(DO, UNDO)]
