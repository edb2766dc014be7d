"""Lists and bulk acts are written and read by the unit that made them; a plan that waits for a signature also by who stands above."""

from django.db import migrations

OWN = "unit = current_setting('bihuan.unit')::int"
ABOVE = f"{OWN} OR (scope >= current_setting('bihuan.lo')::bigint AND scope < current_setting('bihuan.hi')::bigint)"
OF_ACT = "EXISTS (SELECT 1 FROM bulk_act b WHERE b.act = bulk_part.act)"

DO = f"""
ALTER TABLE list_taken ENABLE ROW LEVEL SECURITY;
CREATE POLICY list_taken_read ON list_taken FOR SELECT TO bihuan_app USING (EXISTS (SELECT 1 FROM fact f WHERE f.id = list_taken.fact));
CREATE POLICY list_taken_engine ON list_taken TO bihuan_engine USING (true) WITH CHECK (true);
ALTER TABLE duty_list ENABLE ROW LEVEL SECURITY;
CREATE POLICY duty_list_read ON duty_list FOR SELECT TO bihuan_app USING ({OWN});
CREATE POLICY duty_list_insert ON duty_list FOR INSERT TO bihuan_app WITH CHECK ({OWN});
CREATE POLICY duty_list_engine ON duty_list TO bihuan_engine USING (true) WITH CHECK (true);
ALTER TABLE bulk_act ENABLE ROW LEVEL SECURITY;
CREATE POLICY bulk_act_read ON bulk_act FOR SELECT TO bihuan_app USING ({ABOVE});
CREATE POLICY bulk_act_insert ON bulk_act FOR INSERT TO bihuan_app WITH CHECK ({OWN});
CREATE POLICY bulk_act_update ON bulk_act FOR UPDATE TO bihuan_app USING ({ABOVE}) WITH CHECK ({ABOVE});
CREATE POLICY bulk_act_engine ON bulk_act TO bihuan_engine USING (true) WITH CHECK (true);
ALTER TABLE bulk_part ENABLE ROW LEVEL SECURITY;
CREATE POLICY bulk_part_read ON bulk_part FOR SELECT TO bihuan_app USING ({OF_ACT});
CREATE POLICY bulk_part_insert ON bulk_part FOR INSERT TO bihuan_app WITH CHECK ({OF_ACT});
CREATE POLICY bulk_part_engine ON bulk_part TO bihuan_engine USING (true) WITH CHECK (true);
"""
TABLES = {"list_taken": "read engine", "duty_list": "read insert engine", "bulk_act": "read insert update engine", "bulk_part": "read insert engine"}
UNDO = "".join(
    "".join(f"DROP POLICY {table}_{name} ON {table}; " for name in names.split()) + f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY; "
    for table, names in TABLES.items()
)


class Migration(migrations.Migration):
    dependencies = [("leads", "0003_lists"), ("loops", "0002_visibility")]
    operations = [migrations.RunSQL(DO, UNDO)]
