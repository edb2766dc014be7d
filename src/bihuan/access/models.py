"""Officers and the posts that they hold."""

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
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = "login"
    objects = OfficerManager()

    class Meta:
        db_table = "officer"


class Post(models.Model):
    """An officer in a unit with a role, from/to. An officer acts in one post at a time, so scope is one range and one unit."""

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
        return (lo, hi) if self.may(Permission.LEAD_READ) else (lo, lo)

    def may(self, permission: Permission) -> bool:
        return permission in Role(self.role).permissions
