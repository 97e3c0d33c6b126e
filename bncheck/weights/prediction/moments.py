"""Moments of what an activation gives for a channel that a BatchNorm gives: normal, by its own gamma and beta."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bncheck.core import THRESHOLDS, FloatArray, NormLayer
from bncheck.vocabulary import Activation as Activation

_NODES = np.linspace(-6.0, 6.0, 241)
_WEIGHTS = np.exp(-0.5 * _NODES**2)
_ROOT_HALF = math.sqrt(0.5)
_WEIGHTS /= _WEIGHTS.sum()
"""The trapezoid rule on the normal density: for integrands with kinks it is off by less than 1e-3 of gamma."""


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Mean and variance of each channel, float64, shape (C,)."""

    mean: FloatArray
    var: FloatArray


def after(activation: Activation, gamma: FloatArray, beta: FloatArray, slope: FloatArray | float = 0.1) -> Moments:
    """Moments of the activation of N(beta, gamma^2), channel by channel.

    Args:
        activation: which.
        gamma: standard deviations, shape (C,); the sign says nothing.
        beta: means, shape (C,).
        slope: below 0, of a leaky ReLU (one for all) or a PReLU (one for all, or shape (C,)).

    Numerics: closed forms with the error function for the piecewise linear ones without an upper kink; else the
        trapezoid rule over 6 standard deviations, good to 1e-3 standard deviations.

    Source: for ReLU, t = beta / |gamma|: E[relu] = beta Phi(t) + |gamma| phi(t) and
        E[relu^2] = (beta^2 + gamma^2) Phi(t) + beta |gamma| phi(t).
    """
    scale = np.abs(gamma)
    if activation is Activation.LINEAR:
        return Moments(beta, scale**2)
    if activation is Activation.RELU:
        return _leaky(scale, beta, 0.0)
    if activation in (Activation.LEAKY_RELU, Activation.PRELU):
        return _leaky(scale, beta, slope)
    return _integrated(_FUNCTIONS[activation], scale, beta)


def output_of(layer: NormLayer) -> tuple[FloatArray, FloatArray]:
    """Standard deviations and means of what the layer gives on the data that its statistics come from."""
    _, var = layer.statistics
    eps = THRESHOLDS.smallest_eps if layer.eps is None else layer.eps
    gamma = np.ones_like(var) if layer.weight is None else layer.weight
    beta = np.zeros_like(var) if layer.bias is None else layer.bias
    kept = np.divide(var, var + eps, out=np.zeros_like(var), where=var > 0)
    return np.abs(gamma) * np.sqrt(kept), beta


def _leaky(scale: FloatArray, beta: FloatArray, slope: FloatArray | float) -> Moments:
    """The positive part and the negative part apart: E[y^2] has no mixed term, since one of them is always 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(scale > 0, beta / scale, np.copysign(np.inf, beta))
    above = _below(t)
    density = np.exp(-0.5 * np.minimum(t**2, 1e4)) / math.sqrt(2 * math.pi)
    positive = beta * above + scale * density
    positive_square = (beta**2 + scale**2) * above + beta * scale * density
    negative = beta - positive
    negative_square = beta**2 + scale**2 - positive_square
    mean = positive + slope * negative
    square = positive_square + np.square(slope) * negative_square
    return Moments(mean, np.maximum(square - mean**2, 0.0))


def _below(t: FloatArray) -> FloatArray:
    """The share of a normal distribution below each value, Phi(t)."""
    return np.array([0.5 * math.erfc(-one * _ROOT_HALF) for one in t.ravel()]).reshape(t.shape)


def _integrated(function: Callable[[FloatArray], FloatArray], scale: FloatArray, beta: FloatArray) -> Moments:
    values = function(beta[:, None] + scale[:, None] * _NODES)
    mean = values @ _WEIGHTS
    return Moments(mean, np.maximum(np.square(values) @ _WEIGHTS - mean**2, 0.0))


def _silu(x: FloatArray) -> FloatArray:
    return np.asarray(x / (1 + np.exp(-np.clip(x, -60, 60))))


def _hard_swish(x: FloatArray) -> FloatArray:
    return np.asarray(x * np.clip(x + 3, 0, 6) / 6)


def _gelu(x: FloatArray) -> FloatArray:
    """By its approximation with tanh (Hendrycks & Gimpel 2016), within 1e-3."""
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


def _mish(x: FloatArray) -> FloatArray:
    return np.asarray(x * np.tanh(np.logaddexp(0, x)))


def _elu(x: FloatArray) -> FloatArray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _sigmoid(x: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -60, 60))))


def _hard_sigmoid(x: FloatArray) -> FloatArray:
    return np.asarray(np.clip(x + 3, 0, 6) / 6)


def _hard_tanh(x: FloatArray) -> FloatArray:
    return np.asarray(np.clip(x, -1, 1))


def _softplus(x: FloatArray) -> FloatArray:
    return np.asarray(np.logaddexp(0, x))


def _selu(x: FloatArray) -> FloatArray:
    """Klambauer et al. 2017, equation 2."""
    return np.asarray(1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))))


def _relu6(x: FloatArray) -> FloatArray:
    return np.asarray(np.clip(x, 0, 6))


_FUNCTIONS: dict[Activation, Callable[[FloatArray], FloatArray]] = {
    Activation.SILU: _silu,
    Activation.HARD_SWISH: _hard_swish,
    Activation.RELU6: _relu6,
    Activation.GELU: _gelu,
    Activation.MISH: _mish,
    Activation.ELU: _elu,
    Activation.TANH: np.tanh,
    Activation.SIGMOID: _sigmoid,
    Activation.HARD_SIGMOID: _hard_sigmoid,
    Activation.HARD_TANH: _hard_tanh,
    Activation.SOFTPLUS: _softplus,
    Activation.SELU: _selu,
    Activation.ERF: lambda x: np.array([math.erf(one) for one in x.ravel()]).reshape(x.shape),
}
