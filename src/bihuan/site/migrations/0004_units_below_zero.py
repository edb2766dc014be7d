"""Who works with nobody (senders, administrators) stands in a unit and holds none of its duties.

Their scope names the unit below zero: no duty, fact or person has such an owner. What belongs to the unit all the same
(its files, what columns of them mean, its remarks about pages) takes the number without its sign.
"""

from django.db import migrations

UNIT = "current_setting('bihuan.unit')::int"
ABS = f"abs({UNIT})"
RANGE = "scope >= current_setting('bihuan.lo')::bigint AND scope < current_setting('bihuan.hi')::bigint"


def policies(unit: str) -> str:
    own, desk = f"unit = {unit}", f"desk = {unit}"
    return f"""
ALTER POLICY feedback_read ON feedback USING ({own} OR {desk});
ALTER POLICY feedback_insert ON feedback WITH CHECK ({own});
ALTER POLICY feedback_answer ON feedback USING ({desk}) WITH CHECK ({desk});
ALTER POLICY intake_file_read ON intake_file USING ({own} OR ({RANGE}));
ALTER POLICY intake_file_insert ON intake_file WITH CHECK ({own});
ALTER POLICY intake_file_update ON intake_file USING ({own}) WITH CHECK ({own});
ALTER POLICY intake_mapping_read ON intake_mapping USING ({own});
ALTER POLICY intake_mapping_insert ON intake_mapping WITH CHECK ({own});
ALTER POLICY intake_mapping_update ON intake_mapping USING ({own}) WITH CHECK ({own});
ALTER POLICY intake_mapping_delete ON intake_mapping USING ({own});
"""


class Migration(migrations.Migration):
    dependencies = [("site_", "0003_feedback_visibility"), ("intake", "0004_mapping_visibility")]
    operations = [migrations.RunSQL(policies(ABS), policies(UNIT))]
