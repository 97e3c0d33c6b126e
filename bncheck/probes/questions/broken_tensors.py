"""Which of the model's own tensors are not finite, where what its layers see is not?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from bncheck.evidence import Evidence
from bncheck.formats.model import Model
from bncheck.probes.case import Case
from bncheck.probes.probe import Needs, Probe, Suspicion
from bncheck.probes.session import ProbeSession


class BrokenTensors(Probe[tuple[str, ...]]):
    """Looks through the model's tensors; nothing is run."""

    needs = Needs(samples=0, layers=True, suspicion=Suspicion.NOT_FINITE)

    def cost(self, case: Case) -> int:
        """Count nothing."""
        return 0

    def answer(self, case: Case, session: ProbeSession) -> tuple[str, ...]:
        """Their names."""
        return broken_tensors(case.subject.model)

    def told(self, evidence: Evidence, answer: tuple[str, ...]) -> Evidence:
        """Put the names where values are judged."""
        return replace(evidence, closer=replace(evidence.closer, broken=answer))


def broken_tensors(model: Model) -> tuple[str, ...]:
    """Names of the parameters, buffers or initializers that hold NaN or infinity, in the model's order."""
    if model.graph is not None:
        from onnx import numpy_helper

        stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.proto.graph.initializer}
        floating = {name: values for name, values in stored.items() if np.issubdtype(values.dtype, np.floating)}
        return tuple(name for name, values in floating.items() if not np.isfinite(values).all())
    if model.program is None:
        return ()
    named = model.program.state_dict(keep_vars=True)
    tensors = {name: value for name, value in named.items() if isinstance(value, torch.Tensor)}
    return tuple(
        name for name, value in tensors.items() if value.is_floating_point() and not bool(value.isfinite().all())
    )


PROBE = BrokenTensors()
