from django.db import migrations

# A unit is a subject too (directives and the clock's facts are about units); its id is computed from its number.
SQL = """
CREATE FUNCTION subject_of_unit(unit int) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ('00000000-0000-8000-8000-' || lpad(to_hex(unit), 12, '0'))::uuid;
"""


class Migration(migrations.Migration):
    dependencies = [("subjects", "0001_initial")]
    operations = [migrations.RunSQL(SQL, "DROP FUNCTION subject_of_unit(int)")]
