"""BN204: values that half precision cannot hold, in the two ways in which runtimes store a normalization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bncheck.core import PRECISIONS, THRESHOLDS, FloatArray, NormLayer, Precision
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import total
from bncheck.rules.judging.naming import NAMED, SHOWN_CHANNELS
from bncheck.vocabulary import Severity

OVERFLOW, ZERO = "overflows", "becomes 0"


@dataclass(frozen=True, slots=True, eq=False)
class Loss:
    """An array of a layer that does not survive the rounding.

    Attributes:
        array: what it is, in words.
        folded: it arises where normalization is folded into the layer before, else as the file stores it.
        fate: `OVERFLOW` or `ZERO`.
        channels: where.
        value: the worst of its values.
    """

    array: str
    folded: bool
    fate: str
    channels: tuple[int, ...]
    value: float


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield an error for the precision that the model is to run in; else a remark, where float16 would overflow."""
    precision = PRECISIONS[evidence.deploy_dtype or "float16"]
    found = {layer.name: _losses(layer, precision) for layer in evidence.with_statistics() if not layer.missing}
    if evidence.deploy_dtype is None:
        found = {name: [loss for loss in losses if loss.fate == OVERFLOW] for name, losses in found.items()}
    found = {name: losses for name, losses in found.items() if losses}
    if not found:
        return
    folded = any(loss.folded for losses in found.values() for loss in losses)
    yield Finding(
        code="BN204",
        severity=Severity.INFO if evidence.deploy_dtype is None else Severity.ERROR,
        layers=tuple(found),
        message=f"{precision.name} cannot hold {_in_words(found)}. {_where_it_matters(found, folded)}",
        fix=_fix(precision, folded),
        measure=total("channel", {name: _channels_lost(losses) for name, losses in found.items()}),
        evidence={
            "dtype": precision.name,
            "largest": precision.largest,
            "layers": list(found),
            "lost": {name: [_document(loss) for loss in losses] for name, losses in found.items()},
        },
    )


def _channels_lost(losses: list[Loss]) -> int:
    """Count the channels, each once however many of its values are lost."""
    return len({channel for loss in losses for channel in loss.channels})


def _losses(layer: NormLayer, precision: Precision) -> list[Loss]:
    """Find what of the layer is lost: its arrays as stored, then scale and bias of the folded layer."""
    mean, var = layer.statistics
    stored = {"running mean": mean, "running variance": var, "gamma": layer.weight, "beta": layer.bias}
    losses = [_overflow(name, values, precision) for name, values in stored.items() if values is not None]
    if layer.eps is not None and layer.eps <= precision.zero:
        root = (var >= 0) & (var <= precision.zero)
        losses.append(_loss("variance + eps", var + layer.eps, root, ZERO))
    gamma = np.ones_like(var) if layer.weight is None else layer.weight
    beta = np.zeros_like(var) if layer.bias is None else layer.bias
    # The larger eps, the smaller the scale: where the file does not give it, the claim holds for any in use.
    eps = THRESHOLDS.largest_eps if layer.eps is None else layer.eps
    with np.errstate(all="ignore"):
        scale = gamma / np.sqrt(var + eps)
        spread = np.abs(scale) * np.sqrt(var)
        losses.append(_overflow("scale", scale, precision, folded=True))
        vanishes = (np.abs(scale) <= precision.zero) & (spread > THRESHOLDS.noticeable_output)
        losses.append(_loss("scale", scale, vanishes, ZERO, folded=True))
        losses.append(_overflow("bias", beta - mean * scale, precision, folded=True))
    return [loss for loss in losses if loss is not None]


def _overflow(array: str, values: FloatArray, precision: Precision, *, folded: bool = False) -> Loss | None:
    return _loss(array, values, np.abs(values) >= precision.infinite, OVERFLOW, folded=folded)


def _loss(
    array: str, values: FloatArray, lost: npt.NDArray[np.bool_], fate: str, *, folded: bool = False
) -> Loss | None:
    """Keep the finite values among those lost; what is not finite to begin with is BN201 or BN202."""
    channels = np.flatnonzero(lost & np.isfinite(values))
    if not channels.size:
        return None
    worst = channels[np.argmax(np.abs(values[channels]))]
    return Loss(array, folded, fate, tuple(channels.tolist()), float(values[worst]))


def _in_words(found: Mapping[str, list[Loss]]) -> str:
    named = [f"{_arrays(losses)} of {name or 'the model itself'}" for name, losses in list(found.items())[:NAMED]]
    more = len(found) - NAMED
    return "; ".join(named) + (f"; and values of {more} more layers" if more > 0 else "")


def _arrays(losses: list[Loss]) -> str:
    return ", ".join(
        f"the {'folded ' if loss.folded else ''}{loss.array} ({loss.value:.3g}, {loss.fate})" for loss in losses
    )


def _where_it_matters(found: Mapping[str, list[Loss]], folded: bool) -> str:
    if not folded:
        return (
            "That is lost where the normalization is stored in this precision (`model.half()`); folded into the "
            "convolution before, as deployment tools do, its scale and bias fit."
        )
    if all(loss.folded for losses in found.values() for loss in losses):
        return "That is lost where the normalization is folded into the convolution before, as deployment tools do."
    return "That is lost both as it is stored and where it is folded into the convolution before."


def _fix(precision: Precision, folded: bool) -> str:
    wide = "" if precision.name == "bfloat16" else ", or deploy in bfloat16, which has the range of float32"
    if folded:
        return f"Keep these layers in float32{wide}; do not fold them."
    return (
        "Fold the normalization before casting (`torch.nn.utils.fusion.fuse_conv_bn_eval`), or keep these layers in "
        f"float32{wide}."
    )


def _document(loss: Loss) -> dict[str, object]:
    return {
        "array": loss.array,
        "folded": loss.folded,
        "fate": loss.fate,
        "channel_indices": list(loss.channels[:SHOWN_CHANNELS]),
        "count": len(loss.channels),
        "value": loss.value,
    }
