
import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('subjects', '0002_units'),
    ]

    operations = [
        migrations.CreateModel(
            name='Doubted',
            fields=[
                ('fact', models.UUIDField(primary_key=True, serialize=False)),
                ('other', models.UUIDField()),
                ('question', models.TextField()),
            ],
            options={
                'db_table': 'doubted',
            },
        ),
        migrations.CreateModel(
            name='EventKey',
            fields=[
                ('pk', models.CompositePrimaryKey('event', 'class_name', blank=True, editable=False, primary_key=True, serialize=False)),
                ('event', models.IntegerField()),
                ('class_name', models.TextField(db_column='class')),
                ('wrapped', models.BinaryField()),
            ],
            options={
                'db_table': 'event_key',
            },
        ),
        migrations.CreateModel(
            name='Linked',
            fields=[
                ('fact', models.UUIDField(primary_key=True, serialize=False)),
                ('a', models.UUIDField()),
                ('b', models.UUIDField()),
                ('rule', models.TextField()),
                ('reason', models.TextField()),
            ],
            options={
                'db_table': 'linked',
            },
        ),
        migrations.CreateModel(
            name='Settled',
            fields=[
                ('fact', models.UUIDField(primary_key=True, serialize=False)),
                ('other', models.UUIDField()),
                ('question', models.TextField()),
                ('same', models.BooleanField(null=True)),
            ],
            options={
                'db_table': 'settled',
            },
        ),
        migrations.CreateModel(
            name='Unlinked',
            fields=[
                ('fact', models.UUIDField(primary_key=True, serialize=False)),
                ('a', models.UUIDField()),
                ('b', models.UUIDField()),
                ('rule', models.TextField()),
                ('reason', models.TextField()),
            ],
            options={
                'db_table': 'unlinked',
            },
        ),
        migrations.CreateModel(
            name='Unmasked',
            fields=[
                ('fact', models.UUIDField(primary_key=True, serialize=False)),
                ('reading', models.TextField()),
            ],
            options={
                'db_table': 'unmasked',
            },
        ),
        migrations.CreateModel(
            name='Doubt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('a', models.UUIDField()),
                ('b', models.UUIDField()),
                ('fact', models.UUIDField()),
                ('ended_by', models.UUIDField(null=True)),
                ('why', models.TextField(choices=[('evidence', 'Evidence'), ('work', 'Work')])),
            ],
            options={
                'db_table': 'doubt',
                'indexes': [models.Index(fields=['b'], name='doubt_b')],
                'constraints': [models.CheckConstraint(condition=models.Q(('why__in', ['evidence', 'work'])), name='doubt_why_known'), models.UniqueConstraint(condition=models.Q(('ended_by', None)), fields=('a', 'b'), name='doubt_once')],
            },
        ),
        migrations.CreateModel(
            name='Holding',
            fields=[
                ('pk', models.CompositePrimaryKey('subject', 'phone_idx', 'name_key', 'event', blank=True, editable=False, primary_key=True, serialize=False)),
                ('event', models.IntegerField()),
                ('subject', models.UUIDField()),
                ('phone_idx', models.BinaryField()),
                ('name_key', models.TextField(default='')),
            ],
            options={
                'db_table': 'holding',
                'indexes': [models.Index(fields=['phone_idx', 'name_key'], name='holding_phone')],
            },
        ),
        migrations.CreateModel(
            name='Identity',
            fields=[
                ('pk', models.CompositePrimaryKey('subject', 'event', blank=True, editable=False, primary_key=True, serialize=False)),
                ('subject', models.UUIDField()),
                ('event', models.IntegerField()),
                ('blob', models.BinaryField()),
                ('address_idx', django.contrib.postgres.fields.ArrayField(base_field=models.BinaryField(), default=list, size=None)),
            ],
            options={
                'db_table': 'identity',
                'indexes': [models.Index(fields=['event'], name='identity_event')],
            },
        ),
        migrations.CreateModel(
            name='Judged',
            fields=[
                ('subject', models.UUIDField(primary_key=True, serialize=False)),
                ('root', models.UUIDField()),
            ],
            options={
                'db_table': 'judged',
                'indexes': [models.Index(fields=['root'], name='judged_root')],
            },
        ),
        migrations.CreateModel(
            name='Link',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('a', models.UUIDField()),
                ('b', models.UUIDField()),
                ('fact', models.UUIDField()),
                ('ended_by', models.UUIDField(null=True)),
                ('same', models.BooleanField(default=True)),
                ('rule', models.TextField(choices=[('name_phone', 'Name Phone'), ('phone', 'Phone'), ('officer', 'Officer')])),
            ],
            options={
                'db_table': 'link',
                'indexes': [models.Index(fields=['a', 'b'], name='link_pair'), models.Index(fields=['b'], name='link_b'), models.Index(condition=models.Q(('ended_by', None), ('rule', 'officer')), fields=['rule'], name='link_decisions')],
                'constraints': [models.CheckConstraint(condition=models.Q(('rule__in', ['name_phone', 'phone', 'officer'])), name='link_rule_known'), models.CheckConstraint(condition=models.Q(('b__lt', models.F('a'))), name='link_towards_better_evidence'), models.CheckConstraint(condition=models.Q(('same', True), ('rule', 'officer'), _connector='OR'), name='link_only_officers_part'), models.UniqueConstraint(condition=models.Q(('ended_by', None), models.Q(('rule', 'officer'), _negated=True)), fields=('a',), name='link_one_automatic'), models.UniqueConstraint(condition=models.Q(('ended_by', None), ('rule', 'officer')), fields=('a', 'b'), name='link_one_decision')],
            },
        ),
        migrations.CreateModel(
            name='Person',
            fields=[
                ('subject', models.OneToOneField(db_column='subject', db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, serialize=False, to='subjects.subject')),
                ('birth_year', models.SmallIntegerField(null=True)),
                ('minor', models.BooleanField(null=True)),
                ('name', models.TextField(default='')),
                ('name_key', models.TextField(default='')),
                ('sex', models.TextField(default='')),
                ('marks', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None)),
            ],
            options={
                'db_table': 'person',
                'indexes': [models.Index(condition=models.Q(('name_key', ''), _negated=True), fields=['name_key'], name='person_name')],
                'constraints': [models.CheckConstraint(condition=models.Q(('sex__in', ['', 'f', 'm'])), name='person_sex_known')],
            },
        ),
    ]
