"""Facts of the ledger about itself are read by whoever may see them; who is doomed is nobody's business but the owner's."""

from django.db import migrations

DO = """
ALTER TABLE destruction_begun ENABLE ROW LEVEL SECURITY;
CREATE POLICY destruction_begun_read ON destruction_begun FOR SELECT TO bihuan_app
  USING (EXISTS (SELECT 1 FROM fact f WHERE f.id = destruction_begun.fact));
CREATE POLICY destruction_begun_engine ON destruction_begun TO bihuan_engine USING (true) WITH CHECK (true);
ALTER TABLE destruction_certified ENABLE ROW LEVEL SECURITY;
CREATE POLICY destruction_certified_read ON destruction_certified FOR SELECT TO bihuan_app
  USING (EXISTS (SELECT 1 FROM fact f WHERE f.id = destruction_certified.fact));
CREATE POLICY destruction_certified_engine ON destruction_certified TO bihuan_engine USING (true) WITH CHECK (true);
ALTER TABLE doomed ENABLE ROW LEVEL SECURITY;
CREATE POLICY doomed_engine ON doomed FOR SELECT TO bihuan_engine USING (true);
"""
UNDO = """
DROP POLICY doomed_engine ON doomed; ALTER TABLE doomed DISABLE ROW LEVEL SECURITY;
DROP POLICY destruction_certified_engine ON destruction_certified; DROP POLICY destruction_certified_read ON destruction_certified;
DROP POLICY destruction_begun_engine ON destruction_begun; DROP POLICY destruction_begun_read ON destruction_begun;
ALTER TABLE destruction_certified DISABLE ROW LEVEL SECURITY; ALTER TABLE destruction_begun DISABLE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_ending")]
    operations = [migrations.RunSQL(DO, UNDO)]
