from django.db import migrations, models


class Migration(migrations.Migration):
    """`Fact` is in the state only: its table is partitioned, which Django cannot say; migration 0002 makes it."""

    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Fact",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("act", models.UUIDField()),
                ("event", models.IntegerField()),
                ("kind", models.TextField()),
                ("subject", models.UUIDField()),
                ("region", models.IntegerField(null=True)),
                ("happened_at", models.DateTimeField()),
                ("received_at", models.DateTimeField()),
                ("effective_at", models.DateTimeField()),
                ("by", models.IntegerField()),
                ("unit", models.IntegerField()),
                ("device", models.IntegerField(null=True)),
                ("device_seq", models.BigIntegerField(null=True)),
                ("purpose", models.TextField(default="")),
                ("corrects", models.UUIDField(null=True)),
                ("digest", models.BinaryField()),
                ("salt", models.BinaryField()),
            ],
            options={"db_table": "fact", "managed": False},
        ),
        migrations.CreateModel(
            name="Seal",
            fields=[
                ("pk", models.CompositePrimaryKey("epoch", "no", blank=True, editable=False, primary_key=True, serialize=False)),
                ("epoch", models.IntegerField()),
                ("no", models.BigIntegerField()),
                ("upto", models.BigIntegerField()),
                ("n_facts", models.IntegerField()),
                ("leaves", models.BinaryField()),
                ("root", models.BinaryField()),
                ("chain", models.BinaryField()),
                ("sealed_at", models.DateTimeField()),
            ],
            options={"db_table": "seal"},
        ),
        migrations.CreateModel(
            name="Conflict",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("fact", models.UUIDField()),
                ("content", models.JSONField()),
                ("digest", models.BinaryField()),
                ("received_at", models.DateTimeField()),
                ("by", models.IntegerField()),
                ("unit", models.IntegerField()),
                ("device", models.IntegerField(null=True)),
            ],
            options={
                "db_table": "conflict",
                "constraints": [models.UniqueConstraint(fields=("fact", "digest"), name="conflict_once")],
            },
        ),
    ]
