"""Near pairs are asked about, with the reason; that nobody can tell yet is kept. Read by whoever may read the fact."""

from django.db import migrations, models

DO = """
ALTER TABLE put_off ENABLE ROW LEVEL SECURITY;
CREATE POLICY put_off_read ON put_off FOR SELECT TO bihuan_app USING (EXISTS (SELECT 1 FROM fact f WHERE f.id = put_off.fact));
CREATE POLICY put_off_engine ON put_off TO bihuan_engine USING (true) WITH CHECK (true);
"""
UNDO = "DROP POLICY put_off_read ON put_off; DROP POLICY put_off_engine ON put_off;"


class Migration(migrations.Migration):

    dependencies = [
        ('identity', '0004_searches'),
    ]

    operations = [
        migrations.CreateModel(
            name='PutOff',
            fields=[
                ('fact', models.UUIDField(primary_key=True, serialize=False)),
                ('other', models.UUIDField()),
                ('question', models.TextField()),
                ('ask', models.BigIntegerField(null=True)),
                ('note', models.TextField()),
            ],
            options={
                'db_table': 'put_off',
            },
        ),
        migrations.RemoveConstraint(
            model_name='doubt',
            name='doubt_why_known',
        ),
        migrations.AddField(
            model_name='doubted',
            name='likeness',
            field=models.TextField(default=''),
        ),
        migrations.AlterField(
            model_name='doubt',
            name='why',
            field=models.TextField(choices=[('evidence', 'Evidence'), ('work', 'Work'), ('near', 'Near')]),
        ),
        migrations.AddConstraint(
            model_name='doubt',
            constraint=models.CheckConstraint(condition=models.Q(('why__in', ['evidence', 'work', 'near'])), name='doubt_why_known'),
        ),
        migrations.RunSQL(DO, UNDO),
    ]
