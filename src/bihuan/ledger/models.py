"""What happened, when, who says so. Insert only: the application's roles may neither change nor delete a fact."""

from django.db import models


class Fact(models.Model):
    """One thing that happened. Its details are the row of the module's table that has this id as its primary key.

    Partitioned by range of id (the months of UUID version 7), so that the id alone is the key; a default partition
    takes absurd clocks. Nothing has a foreign key into it, so that a partition can be dropped when its event ends.
    `digest` is SHA-256 over what was reported (not over when the server heard it); `salt` keys its leaf in the seal.
    """

    id = models.UUIDField(primary_key=True)
    act = models.UUIDField()
    event = models.IntegerField()
    kind = models.TextField()
    subject = models.UUIDField()
    region = models.IntegerField(null=True)
    happened_at = models.DateTimeField()
    received_at = models.DateTimeField()
    effective_at = models.DateTimeField()
    by = models.IntegerField()
    unit = models.IntegerField()
    device = models.IntegerField(null=True)
    device_seq = models.BigIntegerField(null=True)
    purpose = models.TextField(default="")
    corrects = models.UUIDField(null=True)
    digest = models.BinaryField()
    salt = models.BinaryField()

    class Meta:
        db_table = "fact"
        managed = False


class Conflict(models.Model):
    """The same id came again with other content. Both are kept; a person settles it.

    `content` is what was reported the second time (event, subject, happened_at, the details), the rest its circumstances.
    """

    fact = models.UUIDField()
    kind = models.TextField(default="")
    content = models.JSONField()
    region = models.IntegerField(null=True)
    effective_at = models.DateTimeField(null=True)
    device_seq = models.BigIntegerField(null=True)
    purpose = models.TextField(default="")
    digest = models.BinaryField()
    received_at = models.DateTimeField()
    by = models.IntegerField()
    unit = models.IntegerField()
    device = models.IntegerField(null=True)

    class Meta:
        db_table = "conflict"
        constraints = [models.UniqueConstraint(fields=["fact", "digest"], name="conflict_once")]


class Seal(models.Model):
    """A minute's facts closed for ever: everything committed below transaction `upto` and not in an earlier seal.

    `leaves` are the HMAC-SHA-256 of the sealed facts in order of id, 32 bytes each: they outlive the facts, so that
    the chain still verifies when an event's data have been destroyed. `chain` = SHA-256(previous chain + root).
    """

    pk = models.CompositePrimaryKey("epoch", "no")
    epoch = models.IntegerField()
    no = models.BigIntegerField()
    upto = models.BigIntegerField()
    n_facts = models.IntegerField()
    leaves = models.BinaryField()
    root = models.BinaryField()
    chain = models.BinaryField()
    sealed_at = models.DateTimeField()

    class Meta:
        db_table = "seal"


class Ending(models.Model):
    """The end of an event's personal data: asked for by one officer, signed by another, carried out, certified. Never undone.

    `sums` are the event's movements by day, `counts` what was destroyed by table: no person in either. `certificate` is
    whole and can be printed again. `backups_gone_on`: the first day on which no backup can have the data any more.
    """

    event = models.IntegerField(unique=True)
    reason = models.TextField()
    asked_by = models.BigIntegerField()  # post
    asked_officer = models.BigIntegerField()
    asked_at = models.DateTimeField()
    signed_by = models.BigIntegerField(null=True)
    signed_officer = models.BigIntegerField(null=True)
    signed_at = models.DateTimeField(null=True)
    begun_at = models.DateTimeField(null=True)
    seal_epoch = models.IntegerField(null=True)  # what came behind this seal was not listed, and is not destroyed
    seal_no = models.BigIntegerField(null=True)
    backups_gone_on = models.DateField(null=True)
    sums = models.JSONField(default=list)
    counts = models.JSONField(default=dict)
    certified_at = models.DateTimeField(null=True)
    certificate = models.JSONField(null=True)

    class Meta:
        db_table = "ending"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(signed_by=None, signed_officer=None, signed_at=None)
                | (models.Q(signed_at__isnull=False, signed_by__isnull=False) & ~models.Q(signed_officer=models.F("asked_officer"))),
                name="ending_two_signers",
            ),
            models.CheckConstraint(condition=models.Q(begun_at=None) | models.Q(signed_at__isnull=False), name="ending_begun_when_signed"),
            models.CheckConstraint(
                condition=models.Q(certified_at=None, certificate=None)
                | models.Q(begun_at__isnull=False, certified_at__isnull=False, certificate__isnull=False),
                name="ending_certified_whole",
            ),
        ]


class DestroyedLeaf(models.Model):
    """Where the leaves of destroyed facts stand in a seal: 4 bytes each, big-endian, counted from 0. Append only."""

    pk = models.CompositePrimaryKey("epoch", "no", "ending")
    epoch = models.IntegerField()
    no = models.BigIntegerField()
    ending = models.BigIntegerField()
    positions = models.BinaryField()

    class Meta:
        db_table = "destroyed_leaf"


class Doomed(models.Model):
    """Aliases that no other event knows, while their event is being destroyed; empty before and after."""

    pk = models.CompositePrimaryKey("event", "subject")
    event = models.IntegerField()
    subject = models.UUIDField()

    class Meta:
        db_table = "doomed"


class Contradicted(models.Model):
    """Details of `ledger.contradicted`."""

    fact = models.UUIDField(primary_key=True)
    question = models.TextField()
    desk = models.BigIntegerField(null=True)

    class Meta:
        db_table = "contradicted"
        indexes = [models.Index(fields=["question"], name="contradicted_question")]


class ContradictionSettled(models.Model):
    """Details of `ledger.contradiction_settled`."""

    fact = models.UUIDField(primary_key=True)
    question = models.TextField()
    decision = models.TextField()
    made = models.UUIDField(null=True)
    reason = models.TextField(default="")

    class Meta:
        db_table = "contradiction_settled"
        indexes = [models.Index(fields=["question"], name="contradiction_settled_question")]


class DestructionBegun(models.Model):
    """Details of `ledger.destruction_begun`."""

    fact = models.UUIDField(primary_key=True)
    ending = models.BigIntegerField()
    n_facts = models.BigIntegerField()
    positions = models.TextField()
    sums = models.TextField()

    class Meta:
        db_table = "destruction_begun"


class DestructionCertified(models.Model):
    """Details of `ledger.destruction_certified`."""

    fact = models.UUIDField(primary_key=True)
    ending = models.BigIntegerField()
    certificate = models.TextField()

    class Meta:
        db_table = "destruction_certified"
