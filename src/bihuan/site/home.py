"""Where this installation keeps its files, and the floors of the house. No Django here: commands need it before set-up."""

from __future__ import annotations

import os
import secrets
import sys
from hashlib import sha256
from hmac import digest
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]
SOURCE = REPO / "src" / "bihuan"

_ALL = ("regions", "subjects", "policy", "access", "ledger", "loops", "identity", "intake", "leads", "boards")
# From the bottom up. A floor whose package is not there is left out. BIHUAN_TOP=loops builds the house only up to that
# floor (and `site`): a lower floor can be worked on and tested while one above it is being rebuilt.
FLOORS = [
    floor for floor in (*_ALL[: _ALL.index(os.environ.get("BIHUAN_TOP") or "boards") + 1], "site") if (SOURCE / floor / "apps.py").exists()
]


def say(text: str) -> None:
    """A line of progress for the person at the terminal; standard output stays free for results."""
    print(text, file=sys.stderr, flush=True)


def home() -> Path:
    """The installation's folder (BIHUAN_HOME, default `var/` beside the launcher); made when missing, closed to others.

    As root it stays passable (not readable): the server then runs as another system user below it.
    """
    folder = Path(os.environ.get("BIHUAN_HOME") or REPO / "var").expanduser().resolve()
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return folder


def private_file(path: Path, make: bytes) -> bytes:
    """The content of a file that only its owner may read; written with `make` when it is not there.

    PermissionError when others can read it.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            raise PermissionError(f"{path}: 只应由其所有者读取 (chmod 600) / may be read by its owner only") from None
        return path.read_bytes()
    with os.fdopen(handle, "wb") as file:
        file.write(make)
    return make


def secret() -> str:
    """The installation's secret: BIHUAN_SECRET, else a file made at the first start."""
    given = os.environ.get("BIHUAN_SECRET")
    return given or private_file(home() / "secret", secrets.token_hex(32).encode()).decode()


def derived_secret(purpose: str) -> str:
    """A password or key for one purpose, computed from the installation's secret."""
    return digest(secret().encode(), purpose.encode(), sha256).hex()
