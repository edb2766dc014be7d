"""A process that takes lists in and runs the clock until it is killed. Each line on standard output is a promise given.

`victim.py seed` makes the city. `victim.py FOLDER` takes in the lists of the folder in the order of their names, those
that come later too, and ticks in between. After any fault of the database it connects anew and goes on, as the worker does.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

PAUSE_SECONDS = 0.02


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def take_in(path: Path) -> None:
    """The act's id is made from the name, as a sender's page keeps its id: repeated, it is the same act."""
    from bihuan.access import queries as access
    from bihuan.intake import actions, queries
    from bihuan.site.demo import event

    say("begin", path.name)
    act = UUID(int=(0x0182_DFAB_0000 << 80) | (0x7 << 76) | (0b10 << 62) | (uuid5(NAMESPACE_URL, path.name).int & ((1 << 62) - 1)))
    post = access.post_of("console")
    stored = actions.store(by=post, event=event(), kind="leads", source="data", name=path.name, data=path.read_bytes(), act=act)
    file = actions.process(stored.file, by=post)
    say("done", path.name, json.dumps(queries.accounts(file)))


def live(folder: Path) -> None:
    import psycopg
    from django.db import Error, connection

    from bihuan.loops.tick import tick
    from bihuan.policy import installation

    done: set[str] = set()
    while True:
        try:
            for path in sorted(folder.glob("*.csv")):
                if path.name not in done:
                    take_in(path)
                    done.add(path.name)
            installation.forget()
            fired = tick().n_fired
            say("ticked", fired)
        except (Error, psycopg.Error) as error:
            say("lost", type(error).__name__)
            connection.close()
        time.sleep(PAUSE_SECONDS)


def main(argument: str) -> None:
    from bihuan.site import setup

    if argument == "seed":
        setup.prepare("work")
        from bihuan.site import demo

        demo.seed()
    else:
        setup.django("work")
        live(Path(argument))


if __name__ == "__main__":
    main(sys.argv[1])
