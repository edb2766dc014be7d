"""Searches outside one's range, and the alarm when there are too many: read by whoever may read their fact."""

from django.db import migrations, models

DO = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY {table}_read ON {table} FOR SELECT TO bihuan_app USING (EXISTS (SELECT 1 FROM fact f WHERE f.id = {table}.fact));
CREATE POLICY {table}_engine ON {table} TO bihuan_engine USING (true) WITH CHECK (true);
"""
UNDO = "DROP POLICY {table}_read ON {table}; DROP POLICY {table}_engine ON {table};"


class Migration(migrations.Migration):

    dependencies = [
        ('identity', '0003_spoken_names'),
    ]

    operations = [
        migrations.CreateModel(
            name='SearchStopped',
            fields=[
                ('fact', models.UUIDField(primary_key=True, serialize=False)),
                ('post', models.BigIntegerField()),
                ('n_searches', models.BigIntegerField()),
                ('asked_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'search_stopped',
                'indexes': [models.Index(fields=['post', 'asked_at'], name='search_stopped_by_post')],
            },
        ),
        migrations.CreateModel(
            name='Sought',
            fields=[
                ('fact', models.UUIDField(primary_key=True, serialize=False)),
                ('number', models.TextField()),
                ('found', models.BooleanField()),
                ('post', models.BigIntegerField()),
                ('asked_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'sought',
                'indexes': [models.Index(fields=['post', 'asked_at'], name='sought_by_post')],
            },
        ),
        *(migrations.RunSQL(DO.format(table=t), UNDO.format(table=t)) for t in ('sought', 'search_stopped')),
    ]
