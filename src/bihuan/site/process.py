"""The processes of a running installation: the web and the worker, watched by whoever started them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable
from pathlib import Path

from bihuan.site import postgres, statics
from bihuan.site.address import is_embedded
from bihuan.site.home import say

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
STOP_SECONDS_MAX = 20
# A child that ends so often in a minute has a fault that another start does not mend.
DEATHS_PER_MINUTE_MAX = 5


def die_with_parent() -> None:
    """This process gets SIGTERM when its parent is gone. Called first thing in a child."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died in between
            os.kill(os.getpid(), signal.SIGTERM)
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


class Child:
    """One of our processes, in a session of its own: Ctrl-C reaches only its parent, which stops all in order."""

    def __init__(self, name: str, module: str, role: str) -> None:
        self.name, self.module, self.role = name, module, role
        self.deaths: deque[float] = deque(maxlen=DEATHS_PER_MINUTE_MAX)
        self.start()

    def start(self) -> None:
        environment = os.environ | {"BIHUAN_ROLE": self.role, "BIHUAN_STATIC": "hashed"}
        environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
        self.process = subprocess.Popen([sys.executable, "-m", self.module], env=environment, start_new_session=True)

    def mend(self) -> None:
        """Start it again when it has ended. RuntimeError when it ends again and again."""
        code = self.process.poll()
        if code is None:
            return
        self.deaths.append(time.monotonic())
        if len(self.deaths) == DEATHS_PER_MINUTE_MAX and self.deaths[-1] - self.deaths[0] < 60:
            raise RuntimeError(f"{self.name} ended {DEATHS_PER_MINUTE_MAX} times within a minute (exit code {code})")
        say(f"闭环：{self.name} 意外停止（{code}），正在重新启动 ／ {self.name} ended ({code}), starting it again")
        self.start()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def web() -> Child:
    statics.collect()
    return Child("web", "bihuan.site.serve", "app")


def worker() -> Child:
    return Child("worker", "bihuan.site.worker", "work")


def wait_until_answering(url: str, seconds_max: float = 60) -> bool:
    """True as soon as `url` answers at all."""
    until = time.monotonic() + seconds_max
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return True
        except urllib.error.HTTPError:
            return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    return False


def watch(children: list[Child], each_second: Callable[[], None] = lambda: None) -> None:
    """Until Ctrl-C (KeyboardInterrupt): start again what ends, the embedded server too. Stops the children before it returns."""
    try:
        while True:
            time.sleep(1)
            if is_embedded() and not postgres.alive():
                say("闭环：数据库意外停止，正在恢复 ／ the database ended, recovering")
                postgres.start()
            for child in children:
                child.mend()
            each_second()
    except KeyboardInterrupt:
        pass
    finally:
        calm()
        for child in children:
            child.stop()


def calm() -> None:
    """From here on stopping is under way: further signals must not tear it apart."""
    for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(which, signal.SIG_IGN)
