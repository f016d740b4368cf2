"""Several processes that take one step together, each on its own device.

In: a function that trains. Out: what it returns where it leads. Every process runs the same function on the same values: each
reads a part of a step's texts, vectors and gradients are added up over all (torch's collective operations: NCCL between GPUs,
gloo otherwise), so the step is that of one process with all the texts. Whatever is measured or drawn before is the leader's.
Imports torch only when called. Knows nothing of models.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.errors import DaogouError, TrainingError

__all__ = ["World", "device_count", "run_together"]

_T = TypeVar("_T")
_PATIENCE, _MEETING = timedelta(minutes=20), timedelta(minutes=5)
"""How long a process waits for the others, and for them to come at all."""
_SHORTLY = 10.0
"""Seconds the others have to end when the one that leads has."""


@dataclass(frozen=True, slots=True)
class World:
    """This process is number ``rank`` of ``size``."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and says how it goes."""
        return self.rank == 0

    def add(self, tensor: Any) -> None:
        """Add up a tensor over all processes, in place."""
        if self.size > 1:
            import torch.distributed as together

            together.all_reduce(tensor)

    def same(self, values: NDArray[Any], device: Any) -> NDArray[Any]:
        """Return the leader's ``values``, which have the same shape everywhere."""
        if self.size == 1:
            return values
        import torch
        import torch.distributed as together

        tensor = torch.from_numpy(np.ascontiguousarray(values)).to(device)
        together.broadcast(tensor, 0)
        return np.asarray(tensor.cpu().numpy())

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            import torch.distributed as together

            together.barrier()


def device_count(device: str, asked: int = 0) -> int:
    """Return how many processes to train with: as many as ``asked``, or one for each CUDA device, or one.

    Raises:
        TrainingError: there are fewer CUDA devices.
    """
    import torch

    there = torch.cuda.device_count() if device == "cuda" else 0
    if device == "cuda" and asked > there:
        raise TrainingError(f"{asked} CUDA devices were asked for and {there} are here. Set --devices to {there} or less.")
    return asked or max(1, there)


def run_together(
    work: Callable[..., _T], given: Sequence[Any], size: int, device: str, alone: Mapping[str, Any] | None = None
) -> _T:
    """Return ``work(*given, device=…, world=…)`` of the process that leads, which is this one; ``alone`` it gets alone.

    ``work`` and ``given`` are sent to the others, so ``work`` is a function of a module.

    Raises:
        TrainingError: another process failed.
    """
    if size == 1:
        return work(*given, device=device, world=World(), **(alone or {}))
    spawn = get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="daogou-training-") as folder:
        meeting = Path(folder) / "meeting"
        others = [spawn.Process(target=_other, args=(work, given, rank, size, device, meeting)) for rank in range(1, size)]
        try:
            for other in others:
                other.start()
            with _joined(0, size, device, meeting) as (world, place), _blaming(others):
                return work(*given, device=place, world=world, **(alone or {}))
        finally:
            for other in others:
                _end(other)


@contextmanager
def _blaming(others: Sequence[Any]) -> Iterator[None]:
    """Say that another process failed, where that is why this one did."""
    try:
        yield
    except DaogouError:  # said of the same values by all of them
        raise
    except Exception as error:
        for other in others:
            other.join(timeout=_SHORTLY / len(others))  # one that failed may not have ended yet
        if failed := [other for other in others if other.exitcode]:
            raise TrainingError(f"{len(failed)} of {1 + len(others)} training processes failed; see above. ({error})") from error
        raise


def _end(process: Any) -> None:
    """Wait shortly for a process to end, then make it."""
    if process.pid is None:
        return
    process.join(timeout=_SHORTLY)
    process.terminate()
    process.join(timeout=_SHORTLY)
    process.kill()


def _other(work: Callable[..., Any], given: Sequence[Any], rank: int, size: int, device: str, meeting: Path) -> None:
    with _joined(rank, size, device, meeting) as (world, place):
        try:
            work(*given, device=place, world=world)
        except DaogouError as error:
            print(f"Training process {rank}: {error}", file=sys.stderr)
            sys.exit(1)


@contextmanager
def _joined(rank: int, size: int, device: str, meeting: Path) -> Iterator[tuple[World, str]]:
    """Give the world and this process's device, while the processes can talk to each other."""
    import torch
    import torch.distributed as together

    threads = torch.get_num_threads()
    if device == "cuda":
        torch.cuda.set_device(rank)
    else:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // size))
    way = "nccl" if device == "cuda" else "gloo"
    store = together.FileStore(str(meeting), size)
    store.set_timeout(_MEETING)
    together.init_process_group(way, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    try:
        yield World(rank, size), f"cuda:{rank}" if device == "cuda" else device
    finally:
        together.destroy_process_group()
        torch.set_num_threads(threads)
