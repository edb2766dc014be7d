"""Tables of place and of command: `region`, `region_scope`, `unit`, `unit_line`.

Everybody may read them; only the owner and the worker's role write them, through `load`, `units` and `changes`.
"""

from __future__ import annotations

from django.contrib.postgres.fields import DateRangeField
from django.db import models
from django.db.models import Q


class Level(models.IntegerChoices):
    """How deep a region lies. A functional zone that commands like a county is a county here."""

    PROVINCE = 1
    CITY = 2
    COUNTY = 3
    TOWNSHIP = 4
    VILLAGE = 5


class UnitKind(models.TextChoices):
    """What a unit is. Kinds are few; what distinguishes two units of a kind in one region is `Unit.code`."""

    DESK = "desk"  # 指挥部办公室 of a city, county, zone or township
    VILLAGE = "village"  # 村（社区）: the desk of a village or community
    GROUP = "group"  # 专项组, 专班: one kind of duty across all territories
    DEPARTMENT = "department"  # 行业主管部门
    LIAISON = "liaison"  # 协查联络组: answers for units outside the system
    SENDER = "sender"  # sends lists and sees no person; `code` is the source
    CHECKPOINT = "checkpoint"  # 交通查验点
    SITE = "site"  # 隔离场所
    LABORATORY = "laboratory"  # 检测机构
    SCHOOL = "school"  # 学校


class Region(models.Model):
    """A place with a permanent id of our own: names and division codes change, the id does not.

    `parent` is the parent in the national division. Who commands there is another question, answered for a day by
    the scope code (`RegionScope`): 徐圩街道 is a child of 连云区 and lies in the scope of 徐圩新区.
    """

    id = models.AutoField(primary_key=True)
    division_code = models.BigIntegerField(null=True, unique=True)  # 12 digits; none for zones, which have no division code
    name = models.TextField()
    short_name = models.TextField()  # what people write in an address: 连云, 徐圩, 东山
    level = models.SmallIntegerField(choices=Level.choices)
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="+")

    class Meta:
        db_table = "region"
        constraints = [
            models.CheckConstraint(condition=Q(level__gte=1, level__lte=5), name="region_level"),
            models.CheckConstraint(
                condition=Q(division_code__isnull=True) | Q(division_code__gte=10**11, division_code__lt=10**12),
                name="region_division_code_has_12_digits",
            ),
            models.CheckConstraint(condition=Q(level=1, parent=None) | Q(level__gt=1, parent__isnull=False), name="region_parent"),
        ]


class RegionScope(models.Model):
    """The jurisdiction code of a region during some days: 12 digits x 1000, the last three for grids.

    Everything below a region is the half-open range of its code, so a scope is one range test. The database lets a
    region have one code a day, and a code belong to one region a day (exclusion constraints, migration 0002).
    """

    id = models.AutoField(primary_key=True)
    region = models.ForeignKey(Region, models.CASCADE, related_name="scopes")
    scope = models.BigIntegerField()
    valid = DateRangeField()

    class Meta:
        db_table = "region_scope"
        indexes = [models.Index(fields=["scope"], name="region_scope_scope")]
        constraints = [
            models.CheckConstraint(condition=Q(scope__gte=10**14, scope__lt=10**15), name="region_scope_has_15_digits"),
        ]


class Unit(models.Model):
    """Somebody who can own a duty: a desk, a village, a group, a checkpoint … with days of beginning and end.

    `code` tells apart units of one kind in one region by a stable word (`data`, `community` …); it is empty where a
    region has only one. A unit that has ended names its living `successor`.
    """

    id = models.AutoField(primary_key=True)
    region = models.ForeignKey(Region, models.PROTECT, related_name="units")
    kind = models.TextField(choices=UnitKind.choices)
    code = models.TextField(default="", blank=True)
    name = models.TextField()
    phone = models.TextField(default="", blank=True)
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="+")
    successor = models.ForeignKey("self", models.PROTECT, null=True, related_name="+")
    valid = DateRangeField()

    class Meta:
        db_table = "unit"
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=UnitKind.values), name="unit_kind"),
            models.CheckConstraint(condition=~Q(parent=models.F("id")), name="unit_not_its_own_parent"),
        ]


class UnitLine(models.Model):
    """Whom a unit asks for help: the unit `above` it by 0, 1, 2 or 3 `steps` of parents, capped at the top.

    A city desk's steps are all itself; a county desk's second step is the city desk. Rebuilt by `units.rebuild_lines`.
    """

    pk = models.CompositePrimaryKey("unit_id", "steps")
    unit = models.ForeignKey(Unit, models.CASCADE, related_name="lines")
    steps = models.SmallIntegerField()
    above = models.ForeignKey(Unit, models.CASCADE, related_name="+")

    class Meta:
        db_table = "unit_line"
        constraints = [models.CheckConstraint(condition=Q(steps__gte=0, steps__lte=3), name="unit_line_steps")]
