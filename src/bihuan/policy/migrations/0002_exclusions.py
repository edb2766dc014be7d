"""One base pack, and each overlay once, for an event, a region and a day."""

from django.db import migrations

# The server has no btree_gist: equality is written as overlap of one-value ranges. The bases of a region share one value,
# so that two of them cannot overlap; an overlay excludes only itself.
EXCLUSION = """
ALTER TABLE adoption ADD CONSTRAINT adoption_one_a_day EXCLUDE USING gist (
  int8range(event_id, event_id, '[]') WITH &&,
  int8range(region_id, region_id, '[]') WITH &&,
  int8range(hashtext(CASE WHEN overlay THEN pack ELSE '' END)::bigint, hashtext(CASE WHEN overlay THEN pack ELSE '' END)::bigint, '[]') WITH &&,
  daterange(from_on, to_on) WITH &&
)
"""


class Migration(migrations.Migration):
    dependencies = [("policy", "0001_initial")]
    operations = [migrations.RunSQL(EXCLUSION, "ALTER TABLE adoption DROP CONSTRAINT adoption_one_a_day")]
