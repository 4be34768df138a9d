"""Random numbers that depend on a seed and a purpose, never on what was drawn before."""

import hashlib

import torch


def generator(seed: int, *purpose: object) -> torch.Generator:
    """A CPU generator for one purpose of a run, such as (`order`, stage 2, epoch 7).

    Work that was interrupted draws the same numbers when it goes on, because nothing else has used this generator.
    """
    digest = hashlib.sha256("/".join(map(str, (seed, *purpose))).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
