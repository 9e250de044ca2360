"""Fair shares for the clients of one scheduler: the tasks of many take turns.

Dask runs graphs in the order in which they were submitted: behind a student with ten thousand tasks, nineteen wait.
Here the tasks of each client begin in a virtual time of its own, and what begins first goes first (start-time fair
queueing: Goyal, Vin and Cheng, SIGCOMM 1996).
"""

from __future__ import annotations

from typing import Any

import dask
from dask.utils import parse_timedelta
from distributed import SchedulerPlugin


class FairShares(SchedulerPlugin):
    """Gives the tasks of each client a turn, by their expected durations.

    A task begins, in virtual time, where the one before it of the same client ends, and not before the present: the
    beginning of the latest task that ended. Someone who comes late so begins among those at work, neither behind all
    that waits nor with a credit for the time away. A priority that a program asks for (``priority=``) comes first, as
    ever; the order of one client's tasks stays as Dask has it.

    Running tasks are not interrupted: a share is one of turns, and not of threads held.

    Examples
    --------
    >>> shares = FairShares()
    >>> [shares.begin("ada", 1.0) for _ in range(3)], shares.begin("ben", 1.0)
    ([0.0, 1.0, 2.0], 0.0)
    """

    name = "course-fair-shares"

    def __init__(self) -> None:
        self.now = 0.0
        self.ends: dict[str, float] = {}
        self.begins: dict[Any, float] = {}
        self.owners: dict[Any, str] = {}
        # Of tasks whose duration was guessed: who submitted some, by the name of their function.
        self.guessed: dict[str, set[str]] = {}
        self.guess = parse_timedelta(dask.config.get("distributed.scheduler.unknown-task-duration"))
        self.scheduler: Any = None

    def begin(self, client: str, duration: float) -> float:
        """Return the virtual time at which the client's next task, of a duration, begins."""
        begin = max(self.now, self.ends.get(client, 0.0))
        self.ends[client] = begin + duration
        return begin

    def update_graph(self, scheduler: Any, *, client: str, tasks: list[Any], **_: Any) -> None:
        """Put the beginning of each new task into its priority, before the graph's number."""
        self.scheduler = scheduler
        new = [scheduler.tasks[key] for key in tasks if key in scheduler.tasks and key not in self.begins]
        new = [task for task in new if task.priority]
        for task in new:
            asked, graph, place = task.priority
            task.priority = (asked, 0.0, graph, place)
        self.plan(client, new)

    def plan(self, client: str, tasks: list[Any]) -> None:
        """Give a client's tasks their beginnings, in the order in which they are."""
        for task in sorted(tasks, key=lambda task: task.priority):
            duration = task.prefix.duration_average
            if duration < 0:  # none of this function has ended yet
                duration = self.guess
                self.guessed.setdefault(task.prefix.name, set()).add(client)
            asked, _, graph, place = task.priority
            self.owners[task.key] = client
            self.begins[task.key] = begin = self.begin(client, duration)
            task.priority = (asked, begin, graph, place)

    def plan_anew(self, clients: set[str]) -> None:
        """Give the tasks of clients that wait other beginnings: how long they take is known now.

        Without that, who had submitted tasks of 0.1 s when Dask took them for 0.5 s would get a fifth of a share.
        """
        queued = list(self.scheduler.queued)
        self.scheduler.queued.clear()  # ordered by priorities, which must not change inside
        for client in clients:
            tasks = (self.scheduler.tasks.get(key) for key, owner in self.owners.items() if owner == client)
            self.ends.pop(client, None)
            self.plan(client, [task for task in tasks if task and task.state in ("waiting", "queued", "no-worker")])
        for task in queued:
            self.scheduler.queued.add(task)

    def transition(self, key: Any, start: str, finish: str, *args: Any, **_: Any) -> None:
        """Move the present on when a task has ended; forget the ones that are gone."""
        if start == "processing" and finish in ("memory", "erred"):
            self.now = max(self.now, self.begins.get(key, 0.0))
            task = self.scheduler.tasks.get(key) if self.guessed else None
            known = task is not None and task.prefix.duration_average >= 0
            if known and (clients := self.guessed.pop(task.prefix.name, None)):
                self.scheduler.loop.add_callback(self.plan_anew, clients)  # not in the midst of transitions
        elif finish == "forgotten":
            self.begins.pop(key, None)
            self.owners.pop(key, None)

    def remove_client(self, scheduler: Any, client: str) -> None:
        """Forget a client that has gone."""
        self.ends.pop(client, None)
