"""A process that writes through the doors, without pages: it says what it tries and what was promised, until it is killed."""

from __future__ import annotations

import itertools
import sys
import time
from uuid import UUID


def say(word: str, id: object) -> None:
    sys.stdout.write(f"{word} {id}\n")
    sys.stdout.flush()


def live(leads: list[UUID], unfinished: list[UUID], only_those: bool) -> None:
    """Calls that reach nobody, first those that an earlier life may have left half done (`unfinished`)."""
    from django.db import Error, connection

    from bihuan.access import queries as access
    from bihuan.kernel import ids
    from bihuan.kernel.refused import Refused
    from bihuan.leads import actions
    from bihuan.leads.facts import Tried

    post = None
    for no in range(len(unfinished)) if only_those else itertools.count():
        fact = unfinished[no] if no < len(unfinished) else ids.new_id()
        # The same id is the same call: about the same lead, whoever sends it again.
        lead = leads[fact.int % len(leads)]
        while True:
            say("try", fact)
            try:
                post = post or access.post_of("console")
                done = actions.try_contact(by=post, lead=lead, outcome=Tried.NOT_REACHED, fact_id=fact)
                if isinstance(done, Refused):
                    say("refused", done.code)
                    return
                say("done", fact)
                break
            except Error:
                connection.close()
                time.sleep(0.1)


if __name__ == "__main__":
    from bihuan.site import setup
    from bihuan.site.process import die_with_parent

    die_with_parent()
    setup.django("app")
    file, *more = sys.argv[1:]
    with open(file, encoding="utf-8") as lines:
        live([UUID(line.strip()) for line in lines], [UUID(u) for u in more[1:]], more[:1] == ["finish"])
