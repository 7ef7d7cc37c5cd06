"""What the ledger costs a training run: steps with it, as the studies sample, beside steps without, in turns.

The ratio is that of processor times of equally many steps of two runs that are alike but for the ledger; updates are
counted and infinities looked for at every step of both.
"""

from __future__ import annotations

import os

os.environ.setdefault("HALFSIM_NUM_THREADS", "1")

import statistics
import time
from dataclasses import replace

import click

import halfsim as hs
from halfsim.studies import STUDIES, Part
from halfsim.training.experiment import Experiment, Settings
from halfsim.training.trainer import Trainer

_NEVER = 2**40


def seconds(trainer: Trainer, steps: int) -> float:
    start = time.process_time()
    for _ in range(steps):
        trainer.advance()
    return time.process_time() - start


def trainers(part: Part, row: str) -> list[Trainer]:
    """A run with the part's sampling, and one without any, neither with evaluations."""
    variant = next(variant for variant in part.rows if variant.name == row)
    settings: Settings = variant.settings or part.settings
    found = []
    for every in (settings.sample_every, _NEVER):
        own = replace(settings, steps=_NEVER, evaluate_every=_NEVER, sample_every=every)
        found.append(Trainer(Experiment(task=variant.task or part.task, settings=own, policy=variant.policy, seed=0)))
        found[-1].advance()  # both sample and evaluate at step 0
    return found


@click.command()
@click.option("--rounds", default=3, show_default=True, help="Turns.")
def main(rounds: int) -> None:
    """Print the share of a run's time that the ledger takes, for one row of every part of every study."""
    hs.set_num_threads(1)
    for study in STUDIES.values():
        for part in study.parts:
            if not isinstance(part, Part):
                continue
            for row in {part.rows[1].name: None, part.rows[-1].name: None}:
                with_ledger, without = trainers(part, row)
                steps = part.settings.sample_every
                shares = []
                for _ in range(rounds):
                    counted, plain = seconds(with_ledger, steps), seconds(without, steps)
                    shares.append(counted / plain - 1)
                print(
                    f"{study.name:16s} {part.name:14s} {row:34s} {100 * statistics.median(shares):6.1f} %", flush=True
                )


if __name__ == "__main__":
    main()
