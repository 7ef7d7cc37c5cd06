"""The grid of a study: tasks under policies, and the list of runs they make with the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from halfsim import __version__
from halfsim.policy import Policy
from halfsim.studies.store import plain, run_id, source_digest
from halfsim.training.loop import Settings
from halfsim.training.tasks import TASKS, task

__all__ = ["Job", "Part", "jobs_of"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One task under several policies.

    Parameters
    ----------
    name, title : str
        Name in files, heading in reports.
    claim : str
        What the table is expected to show.
    task : str
        Name in ``halfsim.training.tasks.TASKS``.
    settings : Settings
        Network, optimizer, length.
    policies : tuple of Policy
        The first is the baseline that the others are compared with, seed by seed.
    shown : tuple of str
        Policies whose learning curves are drawn.
    """

    name: str
    title: str
    claim: str
    task: str
    settings: Settings
    policies: tuple[Policy, ...]
    shown: tuple[str, ...]

    def __post_init__(self) -> None:
        names = [policy.name for policy in self.policies]
        if self.task not in TASKS:
            raise ValueError(f"Part: task={self.task!r} is unknown; known are {', '.join(TASKS)}")
        if len(set(names)) != len(names) or not set(self.shown) <= set(names):
            raise ValueError(f"Part: policies {names} must differ in name and include those shown, {list(self.shown)}")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run: a task, a policy and a seed."""

    part: str
    task: str
    settings: Settings
    policy: Policy
    seed: int

    def config(self) -> dict[str, Any]:
        """Return everything that decides the bits of the run, as plain values.

        The part and the name of the policy do not: equal runs are run once. Releases of NumPy do not either: of NumPy
        a run takes elementwise IEEE 754 operations and the words of a bit generator.
        """
        data = task(self.task).data
        policy = {key: value for key, value in plain(self.policy).items() if key != "name"}
        return {
            "task": self.task,
            "settings": plain(self.settings),
            "policy": policy,
            "seed": self.seed,
            "data": {"name": data.name, "file": data.file, "sha256": data.sha256},
            "code": {"version": __version__, "sha256": source_digest()},
        }

    def name(self) -> str:
        """Return the name of the run's record."""
        return run_id(self.config())


def jobs_of(parts: Sequence[Part], seeds: Sequence[int]) -> list[Job]:
    """Return the runs of a grid, seed by seed, so that an interrupted study has whole seeds."""
    return [
        Job(part=part.name, task=part.task, settings=part.settings, policy=policy, seed=seed)
        for seed in seeds
        for part in parts
        for policy in part.policies
    ]
