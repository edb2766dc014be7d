"""The lock of a person, whichever of the aliases is named. A function: its look for the first alias is planned once a connection."""

from django.db import migrations

SQL = """
CREATE FUNCTION hold_person(alias uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE first uuid;
BEGIN
  SELECT root INTO first FROM cluster WHERE subject = alias;
  -- the last eight bytes of the first alias, as a number
  PERFORM pg_advisory_xact_lock(('x' || encode(substring(uuid_send(coalesce(first, alias)) FROM 9), 'hex'))::bit(64)::bigint);
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("subjects", "0002_units")]
    operations = [migrations.RunSQL(SQL, "DROP FUNCTION hold_person(uuid)")]
