"""What must happen next, who owns it, by when, and which fact proves it."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q


class Outcome(models.TextChoices):
    MET = "met"  # a standing fact that the kind accepts closed it
    WAIVED = "waived"  # a signed waiver closed it
    VOID = "void"  # the fact that opened it was voided, or another duty stands for it


class What(models.TextChoices):
    """What a movement did to a duty."""

    OPENED = "opened"  # to_unit holds it from now on
    OFFERED = "offered"  # from_unit still holds it; to_unit is asked
    ACCEPTED = "accepted"  # from_unit -> to_unit
    RETURNED = "returned"  # the offer ends, from_unit still holds it
    EXPIRED = "expired"  # the offer ran out, from_unit still holds it
    REASSIGNED = "reassigned"  # from_unit -> to_unit without asking: recoding, a unit's end, a superior, better knowledge
    EXTENDED = "extended"  # a new deadline by a fact; the owner stays
    CLOSED = "closed"  # from_unit held it until now


class Loop(models.Model):
    """One duty about one subject. No payload, no states of its own, no parent. Overdue is computed.

    `pack` is the key of the rules that opened it. `scope` is the jurisdiction code of `region` at the opening
    (changed only by recoding or when the region becomes better known): row-level security tests ranges on it.
    """

    id = models.BigAutoField(primary_key=True)
    event = models.IntegerField()
    region = models.IntegerField()
    scope = models.BigIntegerField()
    owner = models.IntegerField()
    assignee = models.IntegerField(null=True)
    offered_to = models.IntegerField(null=True)
    offered_until = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    subject = models.UUIDField()
    opened_by = models.UUIDField()
    closed_by = models.UUIDField(null=True)
    outcome = models.TextField(null=True, choices=Outcome)
    kind = models.TextField()
    key = models.TextField(default="")
    pack = models.TextField()

    class Meta:
        db_table = "loop"
        constraints = [
            models.UniqueConstraint(fields=["event", "kind", "subject", "key"], condition=Q(closed_at__isnull=True), name="loop_one_open"),
            models.CheckConstraint(
                condition=Q(closed_by__isnull=True, closed_at__isnull=True, outcome__isnull=True)
                | Q(closed_by__isnull=False, closed_at__isnull=False, outcome__in=Outcome.values),
                name="loop_closed_whole",
            ),
            models.CheckConstraint(
                condition=Q(offered_to__isnull=True, offered_until__isnull=True)
                | Q(offered_to__isnull=False, offered_until__isnull=False, closed_at__isnull=True),
                name="loop_offer_whole",
            ),
            models.CheckConstraint(condition=Q(offered_to__isnull=True) | ~Q(offered_to=F("owner")), name="loop_offer_elsewhere"),
        ]
        indexes = [
            # With the id: a page of a unit's duties is read in its order, however many fell due together with them.
            # And with what row-level security asks: the numbers of a page are read and counted in the index alone.
            models.Index(
                fields=["owner", "due_at", "id"],
                include=["scope", "offered_to"],
                condition=Q(closed_at__isnull=True),
                name="loop_owner_open",
            ),
            models.Index(fields=["scope", "due_at"], condition=Q(closed_at__isnull=True), name="loop_scope_open"),
            models.Index(
                fields=["offered_to", "offered_until"],
                condition=Q(closed_at__isnull=True, offered_to__isnull=False),
                name="loop_offers_open",
            ),
            models.Index(fields=["subject", "kind"], name="loop_subject"),
        ]


class Movement(models.Model):
    """The history of who held a duty; balances of any past instant are sums over it. Append only.

    `forerunner` names the duty that this one succeeds (after its closing fact was voided or a link was undone).
    `due_at` is set where the movement sets a deadline (opened, extended).
    """

    loop = models.BigIntegerField()
    at_fact = models.UUIDField()
    what = models.TextField(choices=What)
    from_unit = models.IntegerField(null=True)
    to_unit = models.IntegerField(null=True)
    received_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    forerunner = models.BigIntegerField(null=True)

    class Meta:
        db_table = "movement"
        indexes = [
            models.Index(fields=["loop"], name="movement_loop"),
            models.Index(fields=["received_at"], name="movement_received"),
        ]


class Timer(models.Model):
    """The next rung of a duty's ladder of help. The tick takes what is due.

    `later`: when the rungs after it ring, in order. All of them were reckoned when the clock was set, quiet hours folded
    in: nothing that is changed afterwards moves a clock.
    """

    loop = models.BigIntegerField(primary_key=True)
    bucket = models.DateTimeField()
    level = models.SmallIntegerField()
    later = ArrayField(models.DateTimeField(), db_default=[])

    class Meta:
        db_table = "timer"
        indexes = [models.Index(fields=["bucket"], name="timer_bucket")]


class Rung(models.Model):
    """The ladder of a kind of duty under a pack: `after` the deadline, tell the desk `steps_up` above the owner.

    Written when a duty is first opened under a pack; never changed, so that a past escalation can be explained.
    """

    pack = models.TextField()
    kind = models.TextField()
    level = models.SmallIntegerField()
    after = models.DurationField()
    steps_up = models.SmallIntegerField()

    class Meta:
        db_table = "rung"
        constraints = [models.UniqueConstraint(fields=["pack", "kind", "level"], name="rung_once")]


class Fired(models.Model):
    """A rung that fell due: `unit` was asked to help with `loop`. The upper desk's list. Append only."""

    bucket = models.DateTimeField()
    unit = models.IntegerField()
    level = models.SmallIntegerField()
    loop = models.BigIntegerField()
    fact = models.UUIDField()
    owner = models.IntegerField()

    class Meta:
        db_table = "fired"
        constraints = [models.UniqueConstraint(fields=["loop", "bucket", "level"], name="fired_once")]
        indexes = [models.Index(fields=["unit", "bucket"], name="fired_unit")]


class Tick(models.Model):
    """The number of the last tick: ids of its facts are computed from it, so that a repeated tick makes the same."""

    id = models.SmallIntegerField(primary_key=True)
    no = models.BigIntegerField()

    class Meta:
        db_table = "tick"


class TallyDelta(models.Model):
    """A change of a unit's counts by one act. Append only; folded into `Tally` each minute."""

    event = models.IntegerField()
    unit = models.IntegerField()
    kind = models.TextField()
    day = models.DateField()
    opened = models.IntegerField(default=0)
    closed = models.IntegerField(default=0)
    moved_in = models.IntegerField(default=0)
    moved_out = models.IntegerField(default=0)
    late = models.IntegerField(default=0)

    class Meta:
        db_table = "tally_delta"


class Tally(models.Model):
    """A unit's counts of a kind of duty by day; held = sum of opened + moved_in - closed - moved_out.

    A figure is this plus the deltas not yet folded, in one statement, and so exact at every instant.
    """

    pk = models.CompositePrimaryKey("event", "unit", "kind", "day")
    event = models.IntegerField()
    unit = models.IntegerField()
    kind = models.TextField()
    day = models.DateField()
    opened = models.IntegerField(default=0)
    closed = models.IntegerField(default=0)
    moved_in = models.IntegerField(default=0)
    moved_out = models.IntegerField(default=0)
    late = models.IntegerField(default=0)

    class Meta:
        db_table = "tally"


class Handled(models.Model):
    """Details of the facts by which duties change hands or end without being met (offered, accepted, waived …).

    `n_loops` counts the duties when one fact stands for a batch of the clock; `reason` is the officer's words.
    """

    fact = models.UUIDField(primary_key=True)
    loop = models.BigIntegerField(null=True)
    unit = models.IntegerField(null=True)
    officer = models.IntegerField(null=True)
    n_loops = models.IntegerField(null=True)
    level = models.SmallIntegerField(null=True)
    stands = models.BigIntegerField(null=True)
    voids = models.UUIDField(null=True)
    reason = models.TextField(default="")

    class Meta:
        db_table = "handled"
        indexes = [
            models.Index(fields=["loop"], name="handled_loop"),
            models.Index(fields=["voids"], condition=Q(voids__isnull=False), name="handled_voids"),
        ]


class Reckoning(models.Model):
    """What `verify` found when the worker last ran it: counts, balances, gaps by code and id; no person's data.

    Auditors read it: they see whether the accounts balance without seeing anybody.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    ok = models.BooleanField()
    n_gaps = models.IntegerField()
    report = models.JSONField()

    class Meta:
        db_table = "reckoning"
