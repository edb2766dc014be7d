"""Officers, the posts that they hold, and what they sign in with."""

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import DateRangeField
from django.db import models

from bihuan.access.permissions import Permission, Role
from bihuan.kernel import clock


class OfficerManager(BaseUserManager):
    def get_by_natural_key(self, login: str) -> "Officer":
        return self.get(login=login)


class Officer(AbstractBaseUser):
    """A person who works on the platform. What he or she may do comes from the post, never from the person."""

    id = models.AutoField(primary_key=True)
    login = models.TextField(unique=True)
    name = models.TextField()
    phone = models.TextField(default="", blank=True)  # on the roster of a unit; village and grid sign in with it
    is_active = models.BooleanField(default=True)
    must_change = models.BooleanField(default=False)  # the password was given by somebody else
    password_at = models.DateTimeField(null=True)

    USERNAME_FIELD = "login"
    objects = OfficerManager()

    class Meta:
        db_table = "officer"
        constraints = [
            models.UniqueConstraint(fields=["phone"], condition=~models.Q(phone=""), name="officer_phone_once"),
        ]


class Post(models.Model):
    """An officer in a unit with a role, from/to. An officer acts in one post at a time, so scope is one range and one unit.

    System, security and audit administrators are kept apart by the database (`post_branches_apart_1`, `_2`): nobody
    holds two of them on one day, nor one of them beside a post that works with persons.
    """

    id = models.AutoField(primary_key=True)
    officer = models.ForeignKey(Officer, models.PROTECT, db_column="officer")
    unit = models.ForeignKey("regions.Unit", models.PROTECT, db_column="unit")
    role = models.TextField(choices=Role)
    valid = DateRangeField()

    class Meta:
        db_table = "post"
        constraints = [models.CheckConstraint(condition=models.Q(role__in=Role.values), name="post_role_known")]

    def is_valid(self) -> bool:
        """Whether the post is held on the product's day."""
        if self.valid.isempty:
            return False
        today = clock.today()
        return (self.valid.lower is None or self.valid.lower <= today) and (self.valid.upper is None or today < self.valid.upper)

    @property
    def territory(self) -> tuple[int, int]:
        """The half-open range of scope codes of the post's unit, on the product's day. One query, then remembered."""
        if not hasattr(self, "_territory"):
            from bihuan.regions.queries import scope_range

            self._territory = scope_range(self.unit.region_id, clock.today())
        return self._territory

    @property
    def scope(self) -> tuple[int, int]:
        """The range in which the post sees persons and duties: its territory, or nothing for senders and auditors."""
        lo, hi = self.territory
        return (lo, hi) if self.sees_people else (lo, lo)

    @property
    def sees_people(self) -> bool:
        """Whether the role works with persons at all; senders and the three administrators never do."""
        return self.may(Permission.LEAD_READ)

    def may(self, permission: Permission) -> bool:
        return permission in Role(self.role).permissions


class Device(models.Model):
    """A telephone or computer that an officer said is his or her own; unlocked with a PIN instead of a password.

    `key_hash` is SHA-256 of the key in the device's cookie, which only the device knows.
    """

    id = models.UUIDField(primary_key=True)
    officer = models.ForeignKey(Officer, models.CASCADE, db_column="officer", related_name="devices")
    key_hash = models.BinaryField()
    pin = models.TextField()  # hashed like a password
    pin_failures = models.SmallIntegerField(default=0)
    name = models.TextField()
    made_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    until = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revoked_why = models.TextField(default="")  # lost | wrong_pins | left | replaced

    class Meta:
        db_table = "device"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(revoked_at=None, revoked_why="") | (models.Q(revoked_at__isnull=False) & ~models.Q(revoked_why="")),
                name="device_revoked_for_a_reason",
            ),
        ]


class SignIn(models.Model):
    """One sign-in, from its beginning to its end; looked at with every request. All moments are real time."""

    id = models.UUIDField(primary_key=True)
    officer = models.ForeignKey(Officer, models.CASCADE, db_column="officer", related_name="sign_ins")
    device = models.ForeignKey(Device, models.SET_NULL, db_column="device", null=True)
    how = models.TextField()  # password | code | pin | console
    began_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    locked_at = models.DateTimeField(null=True)
    second_at = models.DateTimeField(null=True)  # when a second factor was last shown
    ended_at = models.DateTimeField(null=True)
    ended_why = models.TextField(default="")
    address = models.TextField(default="")
    agent = models.TextField(default="")  # in words: Chrome · Android
    agent_hash = models.BinaryField(default=bytes)

    class Meta:
        db_table = "sign_in"
        indexes = [models.Index(fields=["officer"], condition=models.Q(ended_at=None), name="sign_in_open")]


class SignInCode(models.Model):
    """A code that a desk made for somebody on its roster and read out; good once, for minutes."""

    id = models.BigAutoField(primary_key=True)
    officer = models.ForeignKey(Officer, models.CASCADE, db_column="officer", related_name="+")
    code_hash = models.BinaryField()
    made_by = models.IntegerField()  # post
    made_at = models.DateTimeField()
    until = models.DateTimeField()
    failures = models.SmallIntegerField(default=0)
    used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "sign_in_code"
        constraints = [models.UniqueConstraint(fields=["officer"], condition=models.Q(used_at=None), name="sign_in_code_one_open")]


class Attempt(models.Model):
    """A try to sign in, so that all processes count alike. `account` is a keyed hash of what was typed, known or not."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    account = models.BinaryField()
    officer = models.IntegerField(null=True)
    address = models.TextField()
    outcome = models.TextField()  # failed | passed | locked | cleared

    class Meta:
        db_table = "attempt"
        indexes = [
            # Of the tries that count alone: who is locked and goes on trying makes the counting no slower.
            models.Index(fields=["account", "at"], condition=models.Q(outcome="failed"), name="attempt_account"),
            models.Index(fields=["address", "at"], condition=models.Q(outcome="failed"), name="attempt_address"),
            models.Index(fields=["account", "id"], condition=models.Q(outcome__in=["passed", "cleared"]), name="attempt_made_good"),
        ]


class Totp(models.Model):
    """The secret of six-digit codes. `last_step` is the newest one used: a code counts once."""

    officer = models.OneToOneField(Officer, models.CASCADE, db_column="officer", primary_key=True, related_name="totp")
    secret = models.BinaryField()  # sealed
    made_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    last_step = models.BigIntegerField(default=0)

    class Meta:
        db_table = "totp"


class Passkey(models.Model):
    """A public key whose other half never leaves the officer's device."""

    id = models.BigAutoField(primary_key=True)
    officer = models.ForeignKey(Officer, models.CASCADE, db_column="officer", related_name="passkeys")
    credential = models.BinaryField(unique=True)
    public_key = models.BinaryField()
    sign_count = models.BigIntegerField(default=0)
    name = models.TextField()
    made_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "passkey"


class RecoveryCode(models.Model):
    """One of the codes kept on paper for the day when the second factor is lost; good once."""

    id = models.BigAutoField(primary_key=True)
    officer = models.ForeignKey(Officer, models.CASCADE, db_column="officer", related_name="+")
    code_hash = models.BinaryField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "recovery_code"
        constraints = [models.UniqueConstraint(fields=["officer", "code_hash"], name="recovery_code_once")]


class SecurityLog(models.Model):
    """What happened to accounts, devices and sign-ins. Appended to and never changed; the auditor reads it.

    `officer` did it (null: somebody unknown, or the clock), `about` is whom it concerns. Names nobody under the rules.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    what = models.TextField()
    officer = models.IntegerField(null=True)
    about = models.IntegerField(null=True)
    address = models.TextField(default="")
    detail = models.TextField(default="")

    class Meta:
        db_table = "security_log"
        indexes = [models.Index(fields=["about", "-at"], name="security_log_about")]


class LateEntry(models.Model):
    """What somebody sent to be recorded when the own door was shut: a revoked device, an ended post or account, a locked page.

    Nothing of it counts before a person of the unit, or of a desk above it, records it. `entry` is the id that the record
    itself then has, so whether it was recorded is asked of the ledger. `said` is sealed, and emptied once it is not needed.
    """

    id = models.BigAutoField(primary_key=True)
    entry = models.UUIDField()
    at = models.DateTimeField()  # when it arrived
    officer = models.IntegerField()
    unit = models.IntegerField()
    scope = models.BigIntegerField()
    device = models.UUIDField(null=True)
    sign_in = models.UUIDField()
    why = models.TextField()  # how the sign-in ended, or: locked | post_ended
    address = models.TextField()
    said = models.BinaryField()
    digest = models.BinaryField()
    left_at = models.DateTimeField(null=True)  # somebody decided that it is not recorded
    left_by = models.IntegerField(null=True)
    left_why = models.TextField(default="")

    class Meta:
        db_table = "late_entry"
        constraints = [
            # Sent twice is kept once; the same id with other content is kept beside it.
            models.UniqueConstraint(fields=["entry", "digest"], name="late_entry_once"),
            models.CheckConstraint(
                condition=models.Q(left_at=None, left_by=None, left_why="")
                | (models.Q(left_at__isnull=False, left_by__isnull=False) & ~models.Q(left_why="")),
                name="late_entry_left_for_a_reason",
            ),
        ]
        indexes = [
            models.Index(fields=["unit", "id"], condition=models.Q(left_at=None), name="late_entry_unit"),
            models.Index(fields=["scope", "id"], condition=models.Q(left_at=None), name="late_entry_scope"),
            models.Index(fields=["sign_in"], name="late_entry_sign_in"),
        ]
