"""The three kinds of Kombo task: how Prefect may repeat it. An operation's kind is its own, never its caller's.

Waiting as Kombo tells and trying one request again is the client's business (`tasks.kombo`), and so are the timeouts:
60 s for reads and 300 s for writes, between two signs of life. A timeout of Prefect's would not interrupt a request in
a worker thread, and elsewhere would cut a write off in the middle. What is left for Prefect is to try the whole step
again later:

- `reads`: twice, while the error is one that passes;
- `safe_writes`: once, and only if the write did not run;
- `unsafe_writes`: never.

Nothing is cached, or the second of two equal writes in a run would silently not happen; and no result is kept, because
results are people's data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, overload

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from tasks.kombo.errors import TryLater
from tasks.lake.errors import LakeUnavailable, Moved

P = ParamSpec("P")
R = TypeVar("R")


def may_pass(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - Prefect's signature
    """Whether a failed task is worth another try: it met a limit or another writer, or something was not available."""
    return isinstance(state.data, TryLater | LakeUnavailable | Moved)


@dataclass(frozen=True, slots=True)
class Policy:
    """A decorator that makes a Prefect task; use it bare or with a name for the task's runs.

    Attributes:
        tags: Shown and filtered by in the UI.
        delays: Seconds before each repeat by Prefect; none for no repeat.
    """

    tags: tuple[str, ...]
    delays: tuple[float, ...] = ()

    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...

    @overload
    def __call__(self, /, *, task_run_name: str) -> Callable[[Callable[P, R]], Task[P, R]]: ...

    def __call__(
        self, function: Callable[P, R] | None = None, /, *, task_run_name: str | None = None
    ) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
        """Make a task.

        Args:
            function: The task's function, when used bare.
            task_run_name: Template for the names of its runs, with the function's parameters in braces.

        Returns:
            The task, or a decorator that makes it.
        """

        def decorate(function: Callable[P, R]) -> Task[P, R]:
            return Task(
                function,
                name=f"kombo-{function.__name__.replace('_', '-')}",
                task_run_name=task_run_name,
                tags=self.tags,
                retries=len(self.delays),
                retry_delay_seconds=list(self.delays) or None,
                retry_jitter_factor=0.3 if self.delays else None,
                retry_condition_fn=may_pass,
                cache_policy=NO_CACHE,
                persist_result=False,
                log_prints=False,
            )

        return decorate if function is None else decorate(function)


reads = Policy(tags=("kombo", "kombo:read"), delays=(30, 120))
safe_writes = Policy(tags=("kombo", "kombo:write"), delays=(30,))
unsafe_writes = Policy(tags=("kombo", "kombo:write"))
