"""The open duties of a unit are chosen and counted in their index alone: it has what row-level security asks."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("loops", "0005_owner_order")]
    operations = [
        migrations.RemoveIndex("loop", "loop_owner_open"),
        migrations.AddIndex(
            "loop",
            models.Index(
                fields=["owner", "due_at", "id"],
                include=["scope", "offered_to"],
                condition=models.Q(closed_at__isnull=True),
                name="loop_owner_open",
            ),
        ),
    ]
