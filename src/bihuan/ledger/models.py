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
    """The same id came again with other content. Both are kept; a person settles it."""

    fact = models.UUIDField()
    content = models.JSONField()
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
