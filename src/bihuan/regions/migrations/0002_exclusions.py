"""What Django cannot say without btree_gist, which the embedded server does not have: a number as a range of one."""

from django.db import migrations

FORWARD = """
ALTER TABLE region_scope
    ADD CONSTRAINT region_scope_one_code_a_day
        EXCLUDE USING gist (int8range(region_id, region_id, '[]') WITH &&, valid WITH &&),
    ADD CONSTRAINT region_scope_one_region_a_day
        EXCLUDE USING gist (int8range(scope, scope, '[]') WITH &&, valid WITH &&),
    ADD CONSTRAINT region_scope_some_day CHECK (NOT isempty(valid));
ALTER TABLE unit
    ADD CONSTRAINT unit_successor_of_the_ended CHECK (successor_id IS NULL OR NOT upper_inf(valid));
CREATE UNIQUE INDEX unit_open_once ON unit (region_id, kind, code, name) WHERE upper_inf(valid);
"""

BACKWARD = """
DROP INDEX unit_open_once;
ALTER TABLE unit DROP CONSTRAINT unit_successor_of_the_ended;
ALTER TABLE region_scope
    DROP CONSTRAINT region_scope_some_day,
    DROP CONSTRAINT region_scope_one_region_a_day,
    DROP CONSTRAINT region_scope_one_code_a_day;
"""


class Migration(migrations.Migration):
    dependencies = [("regions", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
