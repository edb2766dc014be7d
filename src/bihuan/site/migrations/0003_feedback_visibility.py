"""What is said about a page is read by the unit that said it and by the desk that answers; only the desk answers."""

from django.db import migrations

OWN = "unit = current_setting('bihuan.unit')::int"
DESK = "desk = current_setting('bihuan.unit')::int"

DO = f"""
ALTER TABLE feedback ENABLE ROW LEVEL SECURITY;
CREATE POLICY feedback_read ON feedback FOR SELECT TO bihuan_app USING ({OWN} OR {DESK});
CREATE POLICY feedback_insert ON feedback FOR INSERT TO bihuan_app WITH CHECK ({OWN});
CREATE POLICY feedback_answer ON feedback FOR UPDATE TO bihuan_app USING ({DESK}) WITH CHECK ({DESK});
"""
UNDO = """
DROP POLICY feedback_read ON feedback; DROP POLICY feedback_insert ON feedback; DROP POLICY feedback_answer ON feedback;
ALTER TABLE feedback DISABLE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    dependencies = [("site_", "0002_denied_and_feedback")]
    operations = [migrations.RunSQL(DO, UNDO)]
