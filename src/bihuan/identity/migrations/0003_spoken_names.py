"""Names by pinyin and by initials; persons known before are filled by the same function that fills new ones."""

from django.db import migrations, models

from bihuan.identity.sounds import spoken

PART = 10_000  # names


def fill(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT name_key FROM person WHERE name_key <> ''")
        names = [name for (name,) in cursor.fetchall()]
        for start in range(0, len(names), PART):
            part = names[start : start + PART]
            said = [spoken(name) for name in part]
            cursor.execute(
                "UPDATE person p SET pinyin = w.pinyin, initials = w.initials"
                " FROM unnest(%s::text[], %s::text[], %s::text[]) AS w(name_key, pinyin, initials) WHERE p.name_key = w.name_key",
                [part, [full for full, _ in said], [short for _, short in said]],
            )


class Migration(migrations.Migration):

    dependencies = [
        ('identity', '0002_policies'),
        ('subjects', '0002_units'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='person',
            name='person_name',
        ),
        migrations.AddField(
            model_name='person',
            name='initials',
            field=models.TextField(default=''),
        ),
        migrations.AddField(
            model_name='person',
            name='pinyin',
            field=models.TextField(default=''),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name='person',
            index=models.Index(condition=models.Q(('name_key', ''), _negated=True), fields=['name_key'], name='person_name', opclasses=['text_pattern_ops']),
        ),
        migrations.AddIndex(
            model_name='person',
            index=models.Index(condition=models.Q(('pinyin', ''), _negated=True), fields=['pinyin'], name='person_pinyin', opclasses=['text_pattern_ops']),
        ),
        migrations.AddIndex(
            model_name='person',
            index=models.Index(condition=models.Q(('initials', ''), _negated=True), fields=['initials'], name='person_initials', opclasses=['text_pattern_ops']),
        ),
    ]
