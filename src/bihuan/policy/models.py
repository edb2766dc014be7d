"""Tables of what is in force: `event`, `adoption`, its proposals, `installation`. Written by `actions` and `installation` only.

Everybody may read them; proposals and adoptions are written by the doors, the rest by the owner and the worker's role.
Nothing here names a person under the rules.
"""

from __future__ import annotations

from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q


class Event(models.Model):
    """An outbreak event, or the standing event of routine work against a disease. Several run at once.

    `legal_basis` names the decision or law that the event rests on; `retention` says how long after `ended_on` the
    personal data of the event is kept before it is destroyed.
    """

    id = models.AutoField(primary_key=True)
    disease = models.TextField()  # the word of the packs: covid19, chikungunya …
    region = models.ForeignKey("regions.Region", models.PROTECT, related_name="+")
    name = models.TextField()
    opened_on = models.DateField()
    ended_on = models.DateField(null=True, blank=True)
    legal_basis = models.TextField()
    retention = models.DurationField()

    class Meta:
        db_table = "event"
        constraints = [
            models.UniqueConstraint(fields=["disease", "region", "name"], name="event_name_once"),
            models.CheckConstraint(condition=Q(ended_on=None) | Q(ended_on__gte=F("opened_on")), name="event_ends_after_it_opens"),
            models.CheckConstraint(condition=~Q(legal_basis=""), name="event_has_a_legal_basis"),
        ]


class Adoption(models.Model):
    """From `from_on` until before `to_on` a region works by a base pack, or adds an overlay to it.

    One base, and each overlay once, for an event, region and day (exclusion constraint, migration 0002). Of several
    bases up the tree the nearest region's counts; overlays of all regions up the tree are laid upon it, the widest
    first. What is stricter than what it lies on carries a reason, an approver who is not the proposer, and the day on
    which it ends by itself.
    """

    id = models.AutoField(primary_key=True)
    event = models.ForeignKey(Event, models.PROTECT, related_name="adoptions")
    region = models.ForeignKey("regions.Region", models.PROTECT, related_name="+")
    pack = models.TextField()  # "covid19/cn_9", or an overlay: "overlays/jiangsu/huaian/138"
    version = models.TextField()
    overlay = models.BooleanField(default=False)
    stricter = ArrayField(models.TextField(), default=list)  # the fields in which it is stricter than what it lies on
    from_on = models.DateField()
    to_on = models.DateField(null=True, blank=True)  # first day on which it no longer counts
    basis = models.TextField()  # document number of the adopting decision; "demo" in the demonstration
    by = models.BigIntegerField()  # post that proposed it (no key: posts live on a sister floor)
    approved_by = models.BigIntegerField(null=True, blank=True)
    reason = models.TextField(default="", blank=True)
    expires_on = models.DateField(null=True, blank=True)  # last day on which it counts
    digest = models.BinaryField()  # SHA-256 of the file's meaning at adoption: a released version never changes
    recorded_at = models.DateTimeField()

    class Meta:
        db_table = "adoption"
        constraints = [
            models.CheckConstraint(condition=Q(to_on=None) | Q(to_on__gte=F("from_on")), name="adoption_ends_after_it_begins"),
            models.CheckConstraint(condition=Q(expires_on=None) | Q(expires_on__gte=F("from_on")), name="adoption_expires_after_it_begins"),
            models.CheckConstraint(condition=~Q(basis=""), name="adoption_has_a_basis"),
            models.CheckConstraint(condition=Q(approved_by=None) | ~Q(approved_by=F("by")), name="adoption_two_signers"),
            models.CheckConstraint(
                condition=Q(stricter=[]) | (~Q(reason="") & Q(approved_by__isnull=False, expires_on__isnull=False)),
                name="adoption_stricter_is_answered_for",
            ),
        ]


class Proposal(models.Model):
    """A proposed adoption, or the end of one (`ends`), and what became of it: `approved` by another officer, `refused`,
    or `withdrawn` by its proposer.

    `before` is the key of what was in force there when it was proposed ("" where nothing was), `after` of what would be:
    what changes must still be what the signers were shown. Officers are kept beside posts because one person may hold two.
    """

    class Outcome(models.TextChoices):
        APPROVED = "approved"
        REFUSED = "refused"
        WITHDRAWN = "withdrawn"

    id = models.AutoField(primary_key=True)
    act = models.UUIDField(unique=True)  # the same form sent twice is one proposal
    event = models.ForeignKey(Event, models.PROTECT, related_name="+")
    region = models.ForeignKey("regions.Region", models.PROTECT, related_name="+")
    pack = models.TextField()
    version = models.TextField()
    from_on = models.DateField()
    expires_on = models.DateField(null=True, blank=True)
    basis = models.TextField()
    reason = models.TextField(default="", blank=True)
    before = models.TextField(blank=True)
    after = models.TextField()
    stricter = ArrayField(models.TextField(), default=list)
    digest = models.BinaryField()
    by = models.BigIntegerField()  # post
    by_officer = models.BigIntegerField()
    proposed_at = models.DateTimeField()
    outcome = models.TextField(null=True, blank=True)
    decided_by = models.BigIntegerField(null=True, blank=True)  # post
    decided_officer = models.BigIntegerField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    note = models.TextField(default="", blank=True)
    adoption = models.OneToOneField(Adoption, models.PROTECT, null=True, blank=True, related_name="proposal")
    ends = models.ForeignKey(Adoption, models.PROTECT, null=True, blank=True, related_name="endings")

    class Meta:
        db_table = "adoption_proposal"
        constraints = [
            models.UniqueConstraint(
                fields=["event", "region", "pack", "version", "from_on"], condition=Q(outcome=None), name="proposal_one_waiting"
            ),
            models.CheckConstraint(
                condition=Q(outcome=None, decided_by=None, decided_officer=None, decided_at=None)
                | Q(
                    outcome__in=["approved", "refused", "withdrawn"], decided_by__isnull=False, decided_officer__isnull=False,
                    decided_at__isnull=False,
                ),
                name="proposal_decided_whole",
            ),
            models.CheckConstraint(
                condition=~Q(outcome="approved")
                | (Q(adoption__isnull=False, ends=None) | Q(adoption=None, ends__isnull=False)) & ~Q(decided_officer=F("by_officer")),
                name="proposal_approved_by_another_officer",
            ),
            models.CheckConstraint(condition=Q(adoption=None) | Q(outcome="approved"), name="proposal_adopted_when_approved"),
            models.CheckConstraint(condition=~Q(basis=""), name="proposal_has_a_basis"),
        ]  # fmt: skip


class Installation(models.Model):
    """The one row of this installation: what it is for, which city it serves, and where its clock stands.

    Product time is `frozen_at`, else real time plus `clock_offset`. Only a demonstration has a movable clock.
    """

    class Mode(models.TextChoices):
        DEMO = "demo"
        LIVE = "live"

    id = models.SmallIntegerField(primary_key=True, default=1)
    mode = models.TextField(choices=Mode.choices)
    clock_offset = models.DurationField()
    frozen_at = models.DateTimeField(null=True, blank=True)
    city = models.ForeignKey("regions.Region", models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        db_table = "installation"
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="installation_one_row"),
            models.CheckConstraint(condition=Q(mode__in=["demo", "live"]), name="installation_mode"),
            models.CheckConstraint(
                condition=~Q(mode="live") | Q(clock_offset=timedelta(0), frozen_at=None), name="installation_live_clock_is_real"
            ),
        ]
