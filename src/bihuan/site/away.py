"""When the database cannot do what was asked: the officer is told so, with a code, what is certain and what to press.

Whatever floor met the fault, Django's last handlers come here: also a session that could not be stored after an act that
was. The answer is 503 with the seconds after which to try again; the form is sent again as it is, with the same id, and
the platform does once what came twice. What is no fault of the database stays what it was: 400, or 500 with a traceback
in the log (the log has these, too).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import get_language
from django.views import defaults
from psycopg_pool import PoolTimeout, TooManyRequests

from bihuan.kernel.refused import Refused

AGAIN_SECONDS = 5
_BUSY = {"40001", "40P01", "55P03", "57014"}  # serialization failure, deadlock, lock not available, canceled for its length
_FULL = {"53100"}  # disk full


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def reason_of(error: BaseException | None) -> Refused | None:
    """What the officer is told of a fault of the database; None when it is something else."""
    found = list(chain(error))
    states = {getattr(one, "sqlstate", None) for one in found}  # of the driver's error, which Django's wraps
    if states & _FULL:
        return Refused(
            "storage_full",
            "存储空间已满，这一次没有保存；已经保存的都在。请值班技术员清出空间，之后再点一次保存。",
            "The storage is full; this was not saved. What was saved before is there. Free some space, then save again.",
        )
    if states & _BUSY or any(isinstance(one, PoolTimeout | TooManyRequests) for one in found):
        return Refused(
            "database_busy",
            "现在办理的人太多，这一次没有保存。请按返回键回到刚才那一页，过几秒再点一次；同一页点两次也只记一次。",
            "Too many are at work just now; this was not saved. Go back and press again in some seconds; "
            "one page is recorded once, however often it is sent.",
        )
    if any(isinstance(one, OperationalError | InterfaceError | psycopg.OperationalError | psycopg.InterfaceError) for one in found):
        return Refused(
            "database_away",
            "数据库正在恢复，这一次可能没有保存。请按返回键回到刚才那一页，过几秒再点一次；同一页点两次也只记一次。",
            "The database is recovering; this may not have been saved. Go back and press again in some seconds; "
            "one page is recorded once, however often it is sent.",
        )
    return None


def answer(refused: Refused) -> HttpResponse:
    """The page of the refusal; needs nothing of the database."""
    context = {"sentence": refused.sentence(get_language() or "zh"), "reference": refused.code}
    return HttpResponse(render_to_string("503.html", context), status=503, headers={"Retry-After": str(AGAIN_SECONDS)})


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500; it is called while the error is being handled."""
    refused = reason_of(sys.exc_info()[1])
    return answer(refused) if refused else defaults.server_error(request)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400: a session that the database could not store arrives here as a bad request."""
    refused = reason_of(exception) if any(isinstance(one, DatabaseError) for one in chain(exception)) else None
    return answer(refused) if refused else defaults.bad_request(request, exception)
