"""The web process: granian with a bounded number of threads and of connections."""

from __future__ import annotations

import os
import socket

from bihuan.kernel.refused import Refused

HOST = "127.0.0.1"
# A connection counts here from its acceptance, silent ones too (browsers open some in advance), so it is generous and
# silent ones are cut soon. Kept-alive connections would count while idle, and some hundred desks that poll would then
# shut the others out (measured): each answer closes its connection. Before many users stands a proxy that does so anyway.
CONNECTIONS_MAX = 256
HEADER_READ_MS = 10_000


def port() -> int:
    return int(os.environ.get("BIHUAN_PORT", "8000"))


def threads() -> int:
    """Requests answered at once; each holds one connection to the database. More than this only wait for each other."""
    return int(os.environ.get("BIHUAN_THREADS") or min(8, 2 * (os.cpu_count() or 1) + 1))


def require_free_port() -> None:
    """Refused when another program holds the port (checked before anything slow is started)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((os.environ.get("BIHUAN_HOST", HOST), port()))
        except OSError as error:
            raise Refused(
                "port_taken",
                f"端口 {port()} 已被占用：先停下占用它的程序，或换一个端口，例如 BIHUAN_PORT={port() + 1} ./bihuan demo",
                f"Port {port()} is taken: stop what uses it, or choose another, as in BIHUAN_PORT={port() + 1} ./bihuan demo",
            ) from error


def serve() -> None:
    """Serve until SIGTERM or SIGINT. The database must be up; whom it sees is BIHUAN_ROLE (default app)."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings

    os.environ.setdefault("BIHUAN_POOL", "1")
    Granian(
        "bihuan.site.wsgi:application",
        address=os.environ.get("BIHUAN_HOST", HOST),
        port=port(),
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(keep_alive=False, header_read_timeout=HEADER_READ_MS),
        workers=1,
        blocking_threads=threads(),
        backpressure=CONNECTIONS_MAX,
        websockets=False,
        log_enabled=True,
        log_level="warning",
    ).serve()


if __name__ == "__main__":
    from bihuan.site.process import die_with_parent

    die_with_parent()
    serve()
