"""What may be done, and the roles as readable lists of it. A role is chosen for a post, never for a person."""

from django.db import models


class Permission(models.TextChoices):
    """NOUN_VERB; stable, documented."""

    LIST_IMPORT = "LIST_IMPORT"  # send in a list
    LEAD_READ = "LEAD_READ"  # see leads and the masked person
    LEAD_VERIFY = "LEAD_VERIFY"  # record what a call or visit found
    SAMPLE_RECORD = "SAMPLE_RECORD"
    RESULT_RECORD = "RESULT_RECORD"
    DUTY_MOVE = "DUTY_MOVE"  # offer, accept, return, assign
    DUTY_WAIVE = "DUTY_WAIVE"  # end a duty without a fact that meets it, with a reason
    FACT_VOID = "FACT_VOID"  # void or correct a record of one's own scope
    PERSON_UNMASK = "PERSON_UNMASK"  # see full identity for a stated purpose
    IDENTITY_SETTLE = "IDENTITY_SETTLE"  # decide whether two records are one person
    REFERRAL_ANSWER = "REFERRAL_ANSWER"  # enter another city's answer
    FIGURES_READ = "FIGURES_READ"  # overview of the units of one's range
    LEDGER_AUDIT = "LEDGER_AUDIT"  # verify the accounts and the seals; sees no person
    UNIT_CHANGE = "UNIT_CHANGE"  # recode regions, close units
    PACK_ADOPT = "PACK_ADOPT"
    EVENT_END = "EVENT_END"  # ask for and sign the destruction of an ended event's personal data
    ROSTER_KEEP = "ROSTER_KEEP"  # village and grid workers of one's range: enter, give a code, end
    ACCOUNT_MANAGE = "ACCOUNT_MANAGE"  # accounts, posts, lock-outs, sessions; sees no person
    SYSTEM_WATCH = "SYSTEM_WATCH"  # health and settings; sees no person
    LOG_READ = "LOG_READ"  # the log of accounts and sign-ins


P = Permission
_FIELD = {P.LEAD_READ, P.LEAD_VERIFY, P.SAMPLE_RECORD, P.DUTY_MOVE, P.FACT_VOID, P.PERSON_UNMASK, P.FIGURES_READ}
_DESK = _FIELD | {P.LIST_IMPORT, P.RESULT_RECORD, P.IDENTITY_SETTLE}


class Role(models.TextChoices):
    CITY_DESK = "city_desk", "市专班"
    COUNTY_DESK = "county_desk", "县区专班"
    TOWNSHIP_DESK = "township_desk", "镇街专班"
    VILLAGE_WORKER = "village_worker", "村居工作人员"
    LIST_SENDER = "list_sender", "名单报送单位"
    SYSTEM_ADMIN = "system_admin", "系统管理员"
    SECURITY_ADMIN = "security_admin", "安全管理员"
    AUDITOR = "auditor", "审计管理员"

    @property
    def permissions(self) -> frozenset[Permission]:
        return _ROLES[self]

    @property
    def is_below_county(self) -> bool:
        """Such posts read plain words only: no code, no English, no abbreviation (USERS 5)."""
        return self in (Role.TOWNSHIP_DESK, Role.VILLAGE_WORKER)

    @property
    def branch(self) -> str:
        """`case` for all who work with persons, else the role itself: nobody holds posts of two branches on one day."""
        return self.value if self in _ADMINISTRATORS else "case"

    @property
    def signs_in_by_phone(self) -> bool:
        """Village and grid: a rostered phone and a code of the township's desk; later a device of their own and a PIN."""
        return self is Role.VILLAGE_WORKER

    @property
    def sentence(self) -> str:
        """What the role is for, for humans."""
        return _SENTENCES[self]


_ROLES: dict[Role, frozenset[Permission]] = {
    Role.CITY_DESK: frozenset(
        _DESK | {P.DUTY_WAIVE, P.REFERRAL_ANSWER, P.UNIT_CHANGE, P.PACK_ADOPT, P.LEDGER_AUDIT, P.ROSTER_KEEP, P.EVENT_END}
    ),
    Role.COUNTY_DESK: frozenset(_DESK | {P.DUTY_WAIVE, P.ROSTER_KEEP}),
    Role.TOWNSHIP_DESK: frozenset(_FIELD | {P.LIST_IMPORT, P.ROSTER_KEEP}),
    Role.VILLAGE_WORKER: frozenset(_FIELD),
    Role.LIST_SENDER: frozenset({P.LIST_IMPORT}),
    Role.SYSTEM_ADMIN: frozenset({P.SYSTEM_WATCH}),
    Role.SECURITY_ADMIN: frozenset({P.ACCOUNT_MANAGE}),
    Role.AUDITOR: frozenset({P.LEDGER_AUDIT, P.FIGURES_READ, P.LOG_READ}),
}
_ADMINISTRATORS = {Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN, Role.AUDITOR}
_SENTENCES: dict[Role, str] = {
    Role.CITY_DESK: "全市名单导入、分派、接收与核对；可免办、改区划、采用方案。",
    Role.COUNTY_DESK: "本县区名单导入、分派、接收与核对；可免办。",
    Role.TOWNSHIP_DESK: "本镇街分派、代为核查、支援村居。",
    Role.VILLAGE_WORKER: "打电话、上门、登记采样；只看得到本村居的人。",
    Role.LIST_SENDER: "报送名单，查看报送结果；看不到任何人的办理情况。",
    Role.SYSTEM_ADMIN: "看运行状态和设置；看不到任何个人信息。",
    Role.SECURITY_ADMIN: "开账号、定岗位、解锁、停用并交接；看不到任何个人信息。",
    Role.AUDITOR: "核对账目与封存记录；看不到任何个人信息。",
}
