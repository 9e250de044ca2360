"""What shuffles from worker to worker move: they are in no task's transfers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distributed import Client

if TYPE_CHECKING:
    from distributed import Worker


def shuffled_bytes(client: Client) -> int:
    """Return the bytes of all pieces that peer-to-peer shuffles of data frames have cut on this cluster so far.

    Parameters
    ----------
    client : distributed.Client

    Returns
    -------
    int
        Bytes, of all workers together; the pieces that a worker keeps for itself are counted too. Of p workers with
        even data, the share (p − 1) / p of it goes over the network.

    Notes
    -----
    The workers send each other these pieces outside of the tasks, so that neither `record` nor the task stream shows
    them as transfers. Each worker counts them among its fine performance metrics, where this function reads them. A
    worker that has gone took its count with it. Chapter 15.

    Examples
    --------
    >>> from course.measure import cluster
    >>> with cluster(1, processes=False, dashboard=False, local=True) as client:
    ...     shuffled_bytes(client)
    0
    """

    def cut(dask_worker: Worker) -> float:
        return sum(
            amount
            for name, amount in dask_worker.digests_total.items()
            if isinstance(name, tuple) and name[0] == "p2p" and name[-2:] == ("shards", "bytes")
        )

    return int(sum(client.run(cut).values()))
