"""What a training writes along the way, and how another goes on from it to the same bytes."""

import os
from pathlib import Path

import torch

VERSION = 2


def save(path, training, step):
    """Write the state of `training`, whose next step is `step`, whole or not at all."""
    state = {
        **_identity(training),
        "model": training.model.state_dict(),
        "step": step,
        "optimizer": training.optimizer.state_dict(),
        "generator": training.generator.bit_generator.state,
        "history": training.history,
        "trace": training.trace,
    }
    part = Path(f"{path}.part")
    torch.save(state, part)
    os.replace(part, path)


def load(path, training):
    """Put the state at `path` into `training`; returns the next step, 0 where there is no file.

    Raises ValueError for a checkpoint of another version, shape or schedule.
    """
    if not Path(path).exists():
        return 0
    state = torch.load(path, weights_only=False)
    for key, value in _identity(training).items():
        if state.get(key) != value:
            raise ValueError(f"checkpoint must be of {key} {value}, got {state.get(key)} in {path}")
    training.model.load_state_dict(state["model"])
    training.optimizer.load_state_dict(state["optimizer"])
    training.generator.bit_generator.state = state["generator"]
    training.history += state["history"]
    training.trace += state["trace"]
    return state["step"]


def _identity(training):
    """What a checkpoint and the training that goes on from it must agree in."""
    model = training.model
    return {
        "version": VERSION,
        "shape": [model.n, model.m, model.tied],
        "schedule": list(training.settings.schedule),
    }
