"""The way out: pages of JSON into Parquet, and the state of a sync with them. Plain Python, no Prefect, no HTTP."""

import ctypes
import os
from contextlib import suppress

# Arrow takes this when it is loaded, which is below. Of its allocators the system's fits best here: with many tables of
# a few megabytes that live shortly, it takes a fifth less memory, and half of the time in the kernel.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

# GNU's C library keeps what a thread frees for that thread, up to 64 MB each; now they share.
with suppress(AttributeError, OSError, TypeError):  # another C library
    ctypes.CDLL(None).mallopt(-8, 2)  # M_ARENA_MAX of malloc.h
