"""A desk reads the leads of its own place without looking up whether it sees each person: the lead itself says whose it is."""

from django.db import migrations

RANGE = "v.scope >= current_setting('bihuan.lo')::bigint AND v.scope < current_setting('bihuan.hi')::bigint"
UNIT = "current_setting('bihuan.unit')::int"
SEEN = f"EXISTS (SELECT 1 FROM visible v WHERE v.subject = lead.subject AND (({RANGE}) OR v.unit = {UNIT}))"


class Migration(migrations.Migration):
    dependencies = [("leads", "0007_support")]
    operations = [
        migrations.RunSQL(
            f"ALTER POLICY lead_read ON lead USING (desk = {UNIT} OR {SEEN})",
            f"ALTER POLICY lead_read ON lead USING ({SEEN})",
        )
    ]
