"""The open duties of a unit lie in the order of its page: deadline, then number."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("loops", "0004_timer_later")]
    operations = [
        migrations.RemoveIndex("loop", "loop_owner_open"),
        migrations.AddIndex(
            "loop",
            models.Index(fields=["owner", "due_at", "id"], condition=models.Q(closed_at__isnull=True), name="loop_owner_open"),
        ),
    ]
