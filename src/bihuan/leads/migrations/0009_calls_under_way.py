"""The calls that are under way at a moment are few: they are found by their end, not by all that people were called."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("leads", "0008_own_desk")]
    operations = [migrations.AddIndex("callstarted", models.Index(fields=["until_at"], name="call_started_until"))]
