"""A clock carries the moments of all its rungs: those set before keep the ones that they had."""

import django.contrib.postgres.fields
from django.db import migrations, models

FILL = """
UPDATE timer t SET later = x.later FROM (
  SELECT t2.loop, array_agg(t2.bucket - now_rung.after + r.after ORDER BY r.level) AS later
  FROM timer t2 JOIN loop l ON l.id = t2.loop
  JOIN rung now_rung ON now_rung.pack = l.pack AND now_rung.kind = l.kind AND now_rung.level = t2.level
  JOIN rung r ON r.pack = l.pack AND r.kind = l.kind AND r.level > t2.level GROUP BY t2.loop) x
WHERE x.loop = t.loop
"""


class Migration(migrations.Migration):
    dependencies = [("loops", "0003_reckoning")]
    operations = [
        migrations.AddField(
            model_name="timer",
            name="later",
            field=django.contrib.postgres.fields.ArrayField(base_field=models.DateTimeField(), db_default=[], size=None),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
