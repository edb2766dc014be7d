"""Row-level security of persons: read policies only; what is written, the engine writes.

A person is seen by posts whose range, or whose unit, the doors wrote into `visible`.
"""

from django.db import migrations

# table -> the column that names the alias
SEEN_BY = {"person": "subject", "identity": "subject", "holding": "subject", "link": "a", "doubt": "a"}
# Details are read by whoever may read their fact.
DETAILS = ("linked", "unlinked", "doubted", "settled", "unmasked")

_VISIBLE = """EXISTS (
  SELECT 1 FROM visible v WHERE v.subject = {table}.{column}
  AND ((v.scope >= current_setting('bihuan.lo')::bigint AND v.scope < current_setting('bihuan.hi')::bigint)
       OR v.unit = current_setting('bihuan.unit')::int))"""
READ = {table: _VISIBLE.format(table=table, column=column) for table, column in SEEN_BY.items()}
READ |= {table: f"EXISTS (SELECT 1 FROM fact f WHERE f.id = {table}.fact)" for table in DETAILS}


def forward(table: str, reads: str) -> str:
    return f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY {table}_read ON {table} FOR SELECT TO bihuan_app USING ({reads});
CREATE POLICY {table}_engine ON {table} TO bihuan_engine USING (true) WITH CHECK (true);
"""


def backward(table: str) -> str:
    return f"""
DROP POLICY {table}_engine ON {table};
DROP POLICY {table}_read ON {table};
ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    dependencies = [("identity", "0001_initial"), ("subjects", "0001_initial"), ("ledger", "0002_fact")]
    operations = [migrations.RunSQL(forward(table, reads), backward(table)) for table, reads in READ.items()]
