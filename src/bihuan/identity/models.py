"""Who is who: evidence, its encryption, and the links between pieces of evidence. Written by this module only.

An alias (a Subject of kind person) is one distinct piece of evidence: a document, a name with a phone, or a phone.
Its id is computed from the evidence under a secret key, so that a document is looked up by primary key and needs no
index of its own. The two highest bits of the id tell the kind (see `evidence`), so that the smallest id of a cluster
is its best evidence, and its root.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Substr


class Person(models.Model):
    """What may be searched about an alias with a name or a document. `name` is the first spelling seen.

    `pinyin` and `initials` (wangxiaomei, wxm) follow from `name_key` by `sounds.spoken`; `given` is the name without its
    first sign, by which people are sought who are known as 小梅.

    `minor` is judged from the document on the opening day of each event in which it was seen: true while all of them
    found the person under age; null where no document tells. The day of birth itself stays sealed.
    """

    subject = models.OneToOneField("subjects.Subject", models.DO_NOTHING, primary_key=True, db_column="subject", db_constraint=False)
    birth_year = models.SmallIntegerField(null=True)
    minor = models.BooleanField(null=True)
    name = models.TextField(default="")
    name_key = models.TextField(default="")
    pinyin = models.TextField(default="")
    initials = models.TextField(default="")
    given = models.GeneratedField(expression=Substr("name_key", 2), output_field=models.TextField(), db_persist=True)
    sex = models.TextField(default="")
    marks = ArrayField(models.TextField(), default=list)

    class Meta:
        db_table = "person"
        constraints = [models.CheckConstraint(condition=Q(sex__in=["", "f", "m"]), name="person_sex_known")]
        # The beginning of a name, of its pinyin or of its initials is looked up, in byte order.
        indexes = [
            models.Index(fields=[column], name=f"person_{name}", opclasses=["text_pattern_ops"], condition=~Q(**{column: ""}))
            for column, name in (("name_key", "name"), ("pinyin", "pinyin"), ("initials", "initials"), ("given", "given"))
        ]


class Identity(models.Model):
    """What identifies an alias, sealed once per event: document, phones, addresses (JSON under AES-256-GCM).

    Bound to the alias, so that a value moved to another row does not open. `address_idx` are blind indexes of the
    addresses inside, so that a list that comes again is known without opening anything.
    """

    pk = models.CompositePrimaryKey("subject", "event")
    subject = models.UUIDField()
    event = models.IntegerField()
    blob = models.BinaryField()
    address_idx = ArrayField(models.BinaryField(), default=list)

    class Meta:
        db_table = "identity"
        indexes = [models.Index(fields=["event"], name="identity_event")]


class Holding(models.Model):
    """That an alias was reported with this name and this phone in an event. The evidence from which links follow.

    A document may be seen with several phones and names; a name-with-phone and a phone hold themselves.
    `phone_idx` is the blind index of the phone (16 bytes).
    """

    pk = models.CompositePrimaryKey("subject", "phone_idx", "name_key", "event")
    event = models.IntegerField()
    subject = models.UUIDField()
    phone_idx = models.BinaryField()
    name_key = models.TextField(default="")

    class Meta:
        db_table = "holding"
        indexes = [models.Index(fields=["phone_idx", "name_key"], name="holding_phone")]


class EventKey(models.Model):
    """The data key of an (event, class of data), wrapped by the master key. Destroyed with the event."""

    pk = models.CompositePrimaryKey("event", "class_name")
    event = models.IntegerField()
    class_name = models.TextField(db_column="class")
    wrapped = models.BinaryField()

    class Meta:
        db_table = "event_key"


class Link(models.Model):
    """One join of two aliases, or an officer's word that they are different. Appended; ended, never changed.

    `b` is the better evidence of the two (the smaller id). Automatic links (`name_phone`, `phone`) are a function of
    all evidence and of the officers' decisions that stand; only `officer` rows may say `same = false`.
    """

    class Rule(models.TextChoices):
        NAME_PHONE = "name_phone"  # a name with a phone -> the one document reported with both
        PHONE = "phone"  # a phone -> its one known adult holder
        OFFICER = "officer"  # an officer's decision, with a reason

    a = models.UUIDField()
    b = models.UUIDField()
    fact = models.UUIDField()
    ended_by = models.UUIDField(null=True)
    same = models.BooleanField(default=True)
    rule = models.TextField(choices=Rule)

    class Meta:
        db_table = "link"
        constraints = [
            models.CheckConstraint(condition=Q(rule__in=["name_phone", "phone", "officer"]), name="link_rule_known"),
            models.CheckConstraint(condition=Q(b__lt=F("a")), name="link_towards_better_evidence"),
            models.CheckConstraint(condition=Q(same=True) | Q(rule="officer"), name="link_only_officers_part"),
            models.UniqueConstraint(fields=["a"], condition=Q(ended_by=None) & ~Q(rule="officer"), name="link_one_automatic"),
            models.UniqueConstraint(fields=["a", "b"], condition=Q(ended_by=None, rule="officer"), name="link_one_decision"),
        ]
        indexes = [
            models.Index(fields=["a", "b"], name="link_pair"),
            models.Index(fields=["b"], name="link_b"),
            models.Index(fields=["rule"], condition=Q(ended_by=None, rule="officer"), name="link_decisions"),
        ]


class Judged(models.Model):
    """Aliases that officers' decisions join into one group: `root` is its smallest id. Kept by the decisions only.

    Derived from `link`; few rows. With it the automatic rules need no walk through links.
    """

    subject = models.UUIDField(primary_key=True)
    root = models.UUIDField()

    class Meta:
        db_table = "judged"
        indexes = [models.Index(fields=["root"], name="judged_root")]


class Doubt(models.Model):
    """A pair about which an officer must decide; `fact` opened the duty. Appended; ended, never changed.

    `evidence`: the name and phone of `a` were reported with `b` and with another document. `work`: a link joined the
    two after different desks had worked on both. `near`: near names that agree in something else (`near`).
    """

    class Why(models.TextChoices):
        EVIDENCE = "evidence"
        WORK = "work"
        NEAR = "near"

    a = models.UUIDField()
    b = models.UUIDField()
    fact = models.UUIDField()
    ended_by = models.UUIDField(null=True)
    why = models.TextField(choices=Why)

    class Meta:
        db_table = "doubt"
        constraints = [
            models.CheckConstraint(condition=Q(why__in=["evidence", "work", "near"]), name="doubt_why_known"),
            models.UniqueConstraint(fields=["a", "b"], condition=Q(ended_by=None), name="doubt_once"),
        ]
        indexes = [models.Index(fields=["b"], name="doubt_b")]


class Linked(models.Model):
    """Details of `identity.linked`."""

    fact = models.UUIDField(primary_key=True)
    a = models.UUIDField()
    b = models.UUIDField()
    rule = models.TextField()
    reason = models.TextField()

    class Meta:
        db_table = "linked"


class Unlinked(models.Model):
    """Details of `identity.unlinked`."""

    fact = models.UUIDField(primary_key=True)
    a = models.UUIDField()
    b = models.UUIDField()
    rule = models.TextField()
    reason = models.TextField()

    class Meta:
        db_table = "unlinked"


class Doubted(models.Model):
    """Details of `identity.doubted`."""

    fact = models.UUIDField(primary_key=True)
    other = models.UUIDField()
    question = models.TextField()
    likeness = models.TextField(default="")

    class Meta:
        db_table = "doubted"


class Settled(models.Model):
    """Details of `identity.settled`."""

    fact = models.UUIDField(primary_key=True)
    other = models.UUIDField()
    question = models.TextField()
    same = models.BooleanField(null=True)

    class Meta:
        db_table = "settled"


class PutOff(models.Model):
    """Details of `identity.put_off`."""

    fact = models.UUIDField(primary_key=True)
    other = models.UUIDField()
    question = models.TextField()
    ask = models.BigIntegerField(null=True)
    note = models.TextField()

    class Meta:
        db_table = "put_off"


class Unmasked(models.Model):
    """Details of `identity.unmasked`; the purpose stands in the fact itself."""

    fact = models.UUIDField(primary_key=True)
    reading = models.TextField()

    class Meta:
        db_table = "unmasked"


class Sought(models.Model):
    """Details of `identity.sought`."""

    fact = models.UUIDField(primary_key=True)
    number = models.TextField()
    found = models.BooleanField()
    post = models.BigIntegerField()
    asked_at = models.DateTimeField()

    class Meta:
        db_table = "sought"
        indexes = [models.Index(fields=["post", "asked_at"], name="sought_by_post")]


class SearchStopped(models.Model):
    """Details of `identity.search_stopped`."""

    fact = models.UUIDField(primary_key=True)
    post = models.BigIntegerField()
    n_searches = models.BigIntegerField()
    asked_at = models.DateTimeField()

    class Meta:
        db_table = "search_stopped"
        indexes = [models.Index(fields=["post", "asked_at"], name="search_stopped_by_post")]


class WholeRead(models.Model):
    """That a post read a person in full, one by one, and when in real time: by this its readings within an hour are bounded."""

    fact = models.UUIDField(primary_key=True)
    post = models.IntegerField()
    read_at = models.DateTimeField()

    class Meta:
        db_table = "whole_read"
        indexes = [models.Index(fields=["post", "read_at"], name="whole_read_by_post")]
