"""What is known of a lead, and the typed rows of its facts."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Lead(models.Model):
    """One arrival of one person in one event, by all reports so far. Derived from the reports; kept by `reconcile`.

    `subject` is the alias that the first report identified; it never moves. `key` names the arrival (the day of the
    earliest one known when the lead was made) and is the key of its duties. `desk` is the most exact unit that the
    reports tell (None: the city's desk); `precision` says how exact: village, county, none. `merged_into` is set when
    a link or a report between two arrivals made two leads one.
    """

    id = models.UUIDField(primary_key=True)
    event = models.IntegerField()
    subject = models.UUIDField()
    key = models.TextField()
    arrived_from = models.DateTimeField(null=True)
    arrived_to = models.DateTimeField(null=True)
    origin = models.TextField(default="")
    origin_class = models.TextField()
    desk = models.IntegerField(null=True)
    precision = models.TextField()
    sources = ArrayField(models.TextField(), default=list)
    n_reports = models.IntegerField(default=0)
    first_reported_at = models.DateTimeField()
    merged_into = models.UUIDField(null=True)

    class Meta:
        db_table = "lead"
        constraints = [
            models.CheckConstraint(condition=models.Q(precision__in=["village", "county", "none"]), name="lead_precision_known"),
            models.UniqueConstraint(fields=["event", "subject", "key"], name="lead_once"),
        ]
        indexes = [models.Index(fields=["desk", "first_reported_at"], name="lead_desk", condition=models.Q(merged_into=None))]


class Standing(models.Model):
    """A figure that would take a look at everybody, counted once a minute (`standing.count`): of the duties that `unit` holds.

    `asked` is the desk that was asked for help, 0 where that is no matter; `since` and `tries` say since when and how often
    people were called; of what is soon due, `since` is the first deadline. The row of unit 0 says when the figure was counted
    (`at`), also where there was nothing to count.
    """

    id = models.BigAutoField(primary_key=True)
    event = models.IntegerField()
    what = models.TextField()
    unit = models.IntegerField()
    asked = models.IntegerField(default=0)
    n = models.IntegerField()
    since = models.DateTimeField(null=True)
    tries = models.IntegerField(default=0)
    at = models.DateTimeField()

    class Meta:
        db_table = "standing"
        indexes = [models.Index(fields=["event", "what", "asked"], name="standing_what")]


class Stray(models.Model):
    """A lead that nobody has a duty to verify, as the worker last found it: there should be none. Who sees the lead sees it named."""

    lead = models.UUIDField(primary_key=True)
    event = models.IntegerField()
    found_at = models.DateTimeField()

    class Meta:
        db_table = "stray"


class LeadReported(models.Model):
    """One row of a list (or a declaration) about one alias."""

    fact = models.UUIDField(primary_key=True)
    source = models.TextField()
    origin = models.TextField()
    origin_region = models.BigIntegerField(null=True)
    origin_class = models.TextField()
    arrived_at = models.DateTimeField(null=True)
    arrived_precision = models.TextField()
    community = models.BigIntegerField(null=True)
    county = models.BigIntegerField(null=True)
    desk = models.BigIntegerField(null=True)
    episode = models.TextField()
    report_key = models.BigIntegerField()
    file = models.BigIntegerField(null=True)
    sheet = models.TextField()
    row = models.BigIntegerField(null=True)

    class Meta:
        db_table = "lead_reported"
        indexes = [models.Index(fields=["report_key"], name="lead_reported_key")]


class LeadSplit(models.Model):
    fact = models.UUIDField(primary_key=True)
    origin_class = models.TextField()
    desk = models.BigIntegerField(null=True)
    episode = models.TextField()

    class Meta:
        db_table = "lead_split"


class CallStarted(models.Model):
    fact = models.UUIDField(primary_key=True)
    episode = models.TextField()
    until_at = models.DateTimeField()

    class Meta:
        db_table = "call_started"
        indexes = [models.Index(fields=["until_at"], name="call_started_until")]  # the few that are under way


class ContactTried(models.Model):
    fact = models.UUIDField(primary_key=True)
    episode = models.TextField()
    outcome = models.TextField()
    reason = models.TextField()
    next_try_at = models.DateTimeField(null=True)
    origin_class = models.TextField()

    class Meta:
        db_table = "contact_tried"
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(outcome="not_here_yet") | models.Q(next_try_at__isnull=False), name="contact_tried_not_here_until"
            )
        ]


class LeadVerified(models.Model):
    fact = models.UUIDField(primary_key=True)
    episode = models.TextField()
    outcome = models.TextField()
    here_since = models.DateField(null=True)
    destination = models.TextField()
    reason = models.TextField()
    medical_need = models.TextField()
    origin_class = models.TextField()
    assigned_at = models.DateTimeField()
    unit = models.BigIntegerField()
    liaison = models.BigIntegerField(null=True)

    class Meta:
        db_table = "lead_verified"
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(outcome="here") | models.Q(here_since__isnull=False), name="lead_verified_here_since"
            ),
            models.CheckConstraint(condition=~models.Q(outcome="gone_on") | ~models.Q(destination=""), name="lead_verified_gone_where"),
        ]


class LeadSampled(models.Model):
    fact = models.UUIDField(primary_key=True)
    episode = models.TextField()
    sampled_at = models.DateTimeField()
    place = models.TextField()
    tube = models.TextField()
    origin_class = models.TextField()
    assigned_at = models.DateTimeField()
    hears = models.BigIntegerField()

    class Meta:
        db_table = "lead_sampled"


class ResultRecorded(models.Model):
    fact = models.UUIDField(primary_key=True)
    episode = models.TextField()
    result = models.TextField()
    resulted_at = models.DateTimeField()

    class Meta:
        db_table = "result_recorded"


class ReferralAnswered(models.Model):
    fact = models.UUIDField(primary_key=True)
    episode = models.TextField()
    accepted = models.BooleanField()
    answer = models.TextField()

    class Meta:
        db_table = "referral_answered"


class ListTaken(models.Model):
    """A list went out as a workbook, or in full on paper: which one, how many duties, whether names and numbers were whole."""

    fact = models.UUIDField(primary_key=True)
    number = models.BigIntegerField()
    form = models.TextField()
    n_duties = models.BigIntegerField()
    whole = models.BooleanField()

    class Meta:
        db_table = "list_taken"


class SupportAsked(models.Model):
    """A unit asked the unit above for help: why, and whom."""

    fact = models.UUIDField(primary_key=True)
    reason = models.TextField()
    note = models.TextField()
    asked_of = models.BigIntegerField()

    class Meta:
        db_table = "support_asked"


class SupportEnded(models.Model):
    """What became of it: the answer of the desk above, or that it is needed no more."""

    fact = models.UUIDField(primary_key=True)
    how = models.TextField()
    note = models.TextField()

    class Meta:
        db_table = "support_ended"


class DutyList(models.Model):
    """Duties picked out at a moment, in an order that stays: what was chosen, printed or taken out under this number.

    Holds numbers of duties only. Written and read by the unit that made it; destroyed at `ends_at` (pack).
    """

    id = models.BigAutoField(primary_key=True)
    act = models.UUIDField(unique=True)
    unit = models.IntegerField()
    officer = models.IntegerField()
    title = models.TextField()
    loops = ArrayField(models.BigIntegerField())
    made_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        db_table = "duty_list"
        indexes = [models.Index(fields=["unit", "made_at"], name="duty_list_unit")]


class BulkAct(models.Model):
    """One thing said about many duties: first a plan that fixes which ones, then done in parts, perhaps taken back.

    `said`: one entry for all duties, or one per duty in the order of `loops` (`{"verb": …, "values": …, "cell": …}`).
    `unread`: rows of a sheet or of a typed line that name no duty or say nothing that can be understood. A plan that
    needs a second signature stands as `proposed` until somebody else signs it. `seen_movement`: the last movement of any
    duty before the plan was made; what changed hands after it has not been seen.
    """

    act = models.UUIDField(primary_key=True)
    number = models.BigIntegerField(null=True)
    unit = models.IntegerField()
    scope = models.BigIntegerField()
    officer = models.IntegerField()
    made_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    loops = ArrayField(models.BigIntegerField())
    said = models.JSONField()
    unread = models.JSONField(default=list)
    seen_movement = models.BigIntegerField(default=0)
    state = models.TextField()
    signed_by = models.IntegerField(null=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "bulk_act"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["planned", "proposed", "doing", "done", "undone"]), name="bulk_act_state_known"
            )
        ]
        indexes = [models.Index(fields=["state", "scope"], name="bulk_act_state")]


class BulkPart(models.Model):
    """A part of a bulk act, written in the transaction that did it: how many, and which were refused, by reason."""

    pk = models.CompositePrimaryKey("act", "no")
    act = models.UUIDField()
    no = models.IntegerField()
    part = models.UUIDField()
    verb = models.TextField()
    loops = ArrayField(models.BigIntegerField())
    refused = models.JSONField(default=dict)

    class Meta:
        db_table = "bulk_part"
