"""What columns are is remembered for the unit that said it, and read by that unit and the worker."""

from django.db import migrations

OWN = "unit = current_setting('bihuan.unit')::int"

DO = f"""
ALTER TABLE intake_mapping ENABLE ROW LEVEL SECURITY;
CREATE POLICY intake_mapping_read ON intake_mapping FOR SELECT TO bihuan_app USING ({OWN});
CREATE POLICY intake_mapping_insert ON intake_mapping FOR INSERT TO bihuan_app WITH CHECK ({OWN});
CREATE POLICY intake_mapping_update ON intake_mapping FOR UPDATE TO bihuan_app USING ({OWN}) WITH CHECK ({OWN});
CREATE POLICY intake_mapping_delete ON intake_mapping FOR DELETE TO bihuan_app USING ({OWN});
CREATE POLICY intake_mapping_engine ON intake_mapping TO bihuan_engine USING (true) WITH CHECK (true);
"""
UNDO = """
DROP POLICY intake_mapping_read ON intake_mapping; DROP POLICY intake_mapping_insert ON intake_mapping;
DROP POLICY intake_mapping_update ON intake_mapping; DROP POLICY intake_mapping_delete ON intake_mapping;
DROP POLICY intake_mapping_engine ON intake_mapping; ALTER TABLE intake_mapping DISABLE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    dependencies = [("intake", "0003_progress_and_mappings")]
    operations = [migrations.RunSQL(DO, UNDO)]
