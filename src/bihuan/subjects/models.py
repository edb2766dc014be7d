"""Whom or what facts and duties are about."""

from django.db import models


class SubjectKind(models.TextChoices):
    PERSON = "person"
    HOUSEHOLD = "household"
    VEHICLE = "vehicle"
    PREMISES = "premises"
    CONSIGNMENT = "consignment"
    UNIT = "unit"
    REGION = "region"


class Subject(models.Model):
    """The parent row of every alias of a person, household, vehicle, premises, consignment, unit and region.

    The id of a person's alias is computed from its evidence under a secret key, so that the same document or phone
    meets the same row from whatever list it comes, and nobody can guess an id.
    """

    id = models.UUIDField(primary_key=True)
    kind = models.TextField(choices=SubjectKind)

    class Meta:
        db_table = "subject"
        constraints = [models.CheckConstraint(condition=models.Q(kind__in=SubjectKind.values), name="subject_kind_known")]


class Cluster(models.Model):
    """Which aliases are one person: `root` is the same for all of them. Derived from links; kept by `identity` only.

    It stands down here because a duty is one per cluster, and the engine must know it. A subject without a row is
    its own root.
    """

    subject = models.OneToOneField(Subject, models.DO_NOTHING, primary_key=True, db_column="subject", db_constraint=False)
    root = models.UUIDField()

    class Meta:
        db_table = "cluster"
        indexes = [models.Index(fields=["root"], name="cluster_root")]


class Visible(models.Model):
    """Who may read a subject: posts whose range holds `scope`, and the unit `unit`. Written by the doors only."""

    subject = models.UUIDField()
    scope = models.BigIntegerField()
    unit = models.IntegerField()
    until = models.DateTimeField(null=True)

    class Meta:
        db_table = "visible"
        constraints = [models.UniqueConstraint(fields=["subject", "scope", "unit"], name="visible_once")]
