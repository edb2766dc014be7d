"""Why a whole file is refused: what, where, and how to mend it."""

from __future__ import annotations

from bihuan.kernel.refused import Refused


def too_large(zh: str, en: str, name: str) -> Refused:
    return Refused("file_too_large", f"文件太大（{zh}），请拆分后再导入", f"The file is too large ({en}); split it", where=name or None)


def too_costly(name: str) -> Refused:
    """The reading was ended by a limit of time or memory."""
    return Refused(
        "file_too_costly",
        "读这份文件超出了时间或内存的限度，已停止；请复制到新的工作簿，只留名单，再导入",
        "Reading this file took more time or memory than is allowed and was stopped; copy the list into a new workbook and send that",
        where=name or None,
    )


def damaged(name: str) -> Refused:
    """What was kept is not what came in."""
    return Refused(
        "file_damaged",
        "保存的原件与收到时的指纹对不上，可能已损坏；请再上传一次，并告诉系统管理员",
        "The kept file differs from its fingerprint at arrival and may be damaged; upload it again and tell the administrator",
        where=name or None,
    )


def encrypted(name: str) -> Refused:
    return Refused(
        "file_encrypted", "文件有密码，请去掉密码后再导入", "The file is protected by a password; remove it first", where=name or None
    )


def xls(name: str) -> Refused:
    return Refused("file_xls", "这是旧的 .xls 格式，请另存为 .xlsx", "This is the old .xls format; save it as .xlsx", where=name or None)


def macro(name: str) -> Refused:
    return Refused(
        "file_macro",
        "文件含有宏，请另存为不含宏的 .xlsx",
        "The workbook contains macros; save it as .xlsx without them",
        where=name or None,
    )


def truncated(name: str, where: str | None = None) -> Refused:
    return Refused(
        "file_truncated",
        "文件不完整，可能没有传完，请重新发送",
        "The file is incomplete or damaged; send it again",
        where=where or name or None,
    )


def entities(name: str) -> Refused:
    return Refused(
        "file_entities", "文件里有外部引用或实体定义，不予读取", "The file declares entities or outside references", where=name or None
    )


def type_(name: str) -> Refused:
    return Refused("file_type", "不认识的文件，请用 .xlsx 或 .csv", "Unknown kind of file; use .xlsx or .csv", where=name or None)


def unreadable(name: str) -> Refused:
    """The reader failed in a way that nobody foresaw."""
    return Refused(
        "file_unreadable",
        "这份文件读不出来，可能已损坏或写法特殊；请在表格软件里另存为 .xlsx，再导入",
        "This file cannot be read; it may be damaged or written in an unusual way. Save it as .xlsx in a spreadsheet program and send that",
        where=name or None,
    )


def failed(name: str) -> Refused:
    """The processing failed again and again at the same place."""
    return Refused(
        "file_failed",
        "这份文件处理了三次都没有成功，已停下，已入账的行不变；请告诉系统管理员",
        "Processing this file failed three times and was stopped; rows already recorded stay. Tell the administrator",
        where=name or None,
    )
