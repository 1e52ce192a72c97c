"""What flow authors import: Prefect tasks, a module a Kombo noun, over two plain halves, `kombo` and `lake`."""
