"""Asking for help and its answer; read by whoever may read the fact."""

from django.db import migrations, models

TABLES = ("support_asked", "support_ended")
DO = "".join(
    f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY {table}_read ON {table} FOR SELECT TO bihuan_app USING (EXISTS (SELECT 1 FROM fact f WHERE f.id = {table}.fact));
CREATE POLICY {table}_engine ON {table} TO bihuan_engine USING (true) WITH CHECK (true);
"""
    for table in TABLES
)
UNDO = "".join(f"DROP POLICY {table}_read ON {table}; DROP POLICY {table}_engine ON {table}; " for table in TABLES)


class Migration(migrations.Migration):
    dependencies = [("leads", "0006_standing")]
    operations = [
        migrations.CreateModel(
            name="SupportAsked",
            fields=[
                ("fact", models.UUIDField(primary_key=True, serialize=False)),
                ("reason", models.TextField()),
                ("note", models.TextField()),
                ("asked_of", models.BigIntegerField()),
            ],
            options={"db_table": "support_asked"},
        ),
        migrations.CreateModel(
            name="SupportEnded",
            fields=[
                ("fact", models.UUIDField(primary_key=True, serialize=False)),
                ("how", models.TextField()),
                ("note", models.TextField()),
            ],
            options={"db_table": "support_ended"},
        ),
        migrations.RunSQL(DO, UNDO),
    ]
