"""How much of what a design did a change of it keeps."""

from __future__ import annotations

import numpy as np

from kerf.verification.lanes import Lanes, random_planes
from kerf.verification.model import Model

CYCLES = 64


def kept_share(old: Model, new: Model, cycles: int = CYCLES) -> float:
    """The share of cycles, in 64 runs of random inputs, in which all outputs are as they were; 0 for other ports. Of repairs that do, the one that
    changes least of what the design does is the likeliest meant."""
    if old.outputs != new.outputs or old.inputs != new.inputs:
        return 0.0
    outputs = [p.name for p in old.design.ports if p.name in old.outputs]
    sides = [Lanes(m.graph, 1, m.initial) for m in (old, new)]
    rng, same = np.random.default_rng(0), 0
    for _ in range(cycles):
        stimulus = {n: random_planes(rng, len(old.graph.signals[n].bits), 1) for n in old.inputs}
        seen = []
        for lanes, made in zip(sides, (old, new)):
            for name, planes in stimulus.items():
                lanes.set_word(name, planes)
            for node, value in made.held.items():
                lanes.set_node(node, value)
            lanes.evaluate()
            seen.append([lanes.planes(made.graph.signals[n].bits) for n in outputs])
            lanes.clock()
        differ = [np.bitwise_or.reduce(a ^ b, axis=0)[0] for a, b in zip(*seen) if a.shape == b.shape]
        same += 64 - int(np.bitwise_or.reduce(differ)).bit_count() if differ else 0
    return same / (64 * cycles)
