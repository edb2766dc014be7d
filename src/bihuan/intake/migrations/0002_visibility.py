"""Files are seen by the unit that sent them and by desks whose range holds that unit; only the sender's unit writes."""

from django.db import migrations

OWN = "unit = current_setting('bihuan.unit')::int"
SEEN = f"{OWN} OR (scope >= current_setting('bihuan.lo')::bigint AND scope < current_setting('bihuan.hi')::bigint)"
OF_FILE = "EXISTS (SELECT 1 FROM intake_file f WHERE f.id = intake_row.file)"

DO = f"""
ALTER TABLE intake_file ENABLE ROW LEVEL SECURITY;
CREATE POLICY intake_file_read ON intake_file FOR SELECT TO bihuan_app USING ({SEEN});
CREATE POLICY intake_file_insert ON intake_file FOR INSERT TO bihuan_app WITH CHECK ({OWN});
CREATE POLICY intake_file_update ON intake_file FOR UPDATE TO bihuan_app USING ({OWN}) WITH CHECK ({OWN});
CREATE POLICY intake_file_engine ON intake_file TO bihuan_engine USING (true) WITH CHECK (true);
ALTER TABLE intake_row ENABLE ROW LEVEL SECURITY;
CREATE POLICY intake_row_read ON intake_row FOR SELECT TO bihuan_app USING ({OF_FILE});
CREATE POLICY intake_row_insert ON intake_row FOR INSERT TO bihuan_app WITH CHECK ({OF_FILE});
CREATE POLICY intake_row_engine ON intake_row TO bihuan_engine USING (true) WITH CHECK (true);
"""
UNDO = """
DROP POLICY intake_file_read ON intake_file; DROP POLICY intake_file_insert ON intake_file;
DROP POLICY intake_file_update ON intake_file; DROP POLICY intake_file_engine ON intake_file;
DROP POLICY intake_row_read ON intake_row; DROP POLICY intake_row_insert ON intake_row; DROP POLICY intake_row_engine ON intake_row;
ALTER TABLE intake_file DISABLE ROW LEVEL SECURITY; ALTER TABLE intake_row DISABLE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    dependencies = [("intake", "0001_initial")]
    operations = [migrations.RunSQL(DO, UNDO)]
