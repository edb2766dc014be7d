"""System, security and audit administrators are kept apart, from each other and from all who work with persons.

The branch of a role has two bits (case 00, system 01, security 10, audit 11). Two posts of one officer on one day that
differ in a bit are refused: ranges [b, b+1) of different bits touch (-|-), those of equal bits do not. A plain GiST
index does this; the embedded server has no btree_gist.
"""

from django.db import migrations

BIT_1 = "(role IN ('system_admin', 'auditor'))::int"
BIT_2 = "(role IN ('security_admin', 'auditor'))::int"
APART = "EXCLUDE USING gist (int4range(officer, officer, '[]') WITH &&, int4range({bit}, {bit} + 1) WITH -|-, valid WITH &&)"

FORWARD = f"""
ALTER TABLE post
    ADD CONSTRAINT post_branches_apart_1 {APART.format(bit=BIT_1)},
    ADD CONSTRAINT post_branches_apart_2 {APART.format(bit=BIT_2)};
"""
BACKWARD = "ALTER TABLE post DROP CONSTRAINT post_branches_apart_1, DROP CONSTRAINT post_branches_apart_2;"


class Migration(migrations.Migration):
    dependencies = [("access", "0002_sign_in")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
