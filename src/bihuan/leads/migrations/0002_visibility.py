"""Who may read leads and what was recorded of them: whoever may see the person, or the record."""

from django.db import migrations

RANGE = "v.scope >= current_setting('bihuan.lo')::bigint AND v.scope < current_setting('bihuan.hi')::bigint"
SEEN = f"EXISTS (SELECT 1 FROM visible v WHERE v.subject = lead.subject AND (({RANGE}) OR v.unit = current_setting('bihuan.unit')::int))"
DETAILS = (
    "lead_reported", "lead_split", "call_started", "contact_tried", "lead_verified", "lead_sampled", "result_recorded", "referral_answered",
)  # fmt: skip
READ = {"lead": SEEN, **{table: f"EXISTS (SELECT 1 FROM fact f WHERE f.id = {table}.fact)" for table in DETAILS}}


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
    dependencies = [("leads", "0001_initial"), ("loops", "0002_visibility")]
    operations = [migrations.RunSQL(policies(), undo())]
