"""The way out: pages of JSON into Parquet, and the state of a sync with them. Plain Python, no Prefect, no HTTP."""

import os

# Arrow takes this when it is loaded, which is below. Of its allocators the system's fits best here: with many tables of
# a few megabytes that live shortly, it takes a fifth less memory, and half of the time in the kernel.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
