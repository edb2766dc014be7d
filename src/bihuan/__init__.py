"""Bihuan (闭环, "closed loop"): every duty of an outbreak has one owner, a clock and a proof."""

import os

__version__ = "0.1.0"

# Read by the allocator of the data frames when it is loaded. It would hand memory back to the system after each step and
# ask for it anew in the next: a third of the time of a large list. For ten seconds it keeps what it has.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:10000,muzzy_decay_ms:10000")
