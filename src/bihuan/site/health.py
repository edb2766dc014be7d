"""Is the house standing? For the launcher, for a watchdog, for a load balancer; says nothing about anybody."""

from __future__ import annotations

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from bihuan import __version__
from bihuan.kernel import clock


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 and {"ok": true, …} when the database answers; 503 when it does not.

    `clock` is product time. `worker_seconds` is the age of the worker's last finished job (null: none ever ran) and
    `jobs_failed` names those whose last run failed: a clock that stands still asks nobody for help, so watch them.
    """
    database, moment, age, failed = "down", None, None, []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, finished_at, error FROM job_run ORDER BY name")
            runs = cursor.fetchall()
        database = "ok"
        moment = clock.now().astimezone(clock.SHANGHAI).isoformat(timespec="seconds")
        failed = [name for name, _, error in runs if error]
        if runs:
            age = max(0, round((clock.real_now() - max(finished for _, finished, _ in runs)).total_seconds()))
    except Error:
        pass
    body = {"ok": database == "ok", "database": database, "clock": moment, "worker_seconds": age, "jobs_failed": failed}
    return JsonResponse(body | {"version": __version__}, status=200 if body["ok"] else 503)
