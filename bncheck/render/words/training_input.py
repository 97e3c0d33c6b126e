"""What a network was fed in training, in one line and in a few words, and which eps it had."""

from __future__ import annotations

from bncheck.render.words.cells import count
from bncheck.results import InputFamily, Report, Run, TrainingInput


def fed_in_training(report: Report) -> list[str]:
    """What the file tells of it, where no data were run and it is known; else nothing."""
    told = None if report.data is not None else training_input(report.run)
    return [] if told is None else [f"Fed in training: {told}."]


def eps_in_training(report: Report) -> list[str]:
    """The eps that the stored statistics tell, where no data were run and it is known; else nothing."""
    eps = report.run.training_eps
    if eps is None or report.data is not None:
        return []
    low, high = (None if one is None else f"{one:g}" for one in (eps.low, eps.high))
    told = f"at most {high}" if low is None else f"at least {low}" if high is None else f"{low} to {high}"
    return [f"eps in training: {told}, by {count(len(eps.layers), 'layer')} with small variances."]


def training_input(run: Run) -> str | None:
    """What the model was fed, and how sure that is; `None` where it is not known."""
    fed = run.training_input
    if fed is None:
        return None
    return f"{count(fed.channels, 'channel')}, {how_fed(fed)}{_order(fed)}; confidence {fed.confidence}"


def fed_briefly(report: Report) -> str:
    """The same as a sentence of a few words, behind others; empty where it is not known."""
    fed = report.run.training_input
    if fed is None or report.data is not None:
        return ""
    gray = " gray" if fed.channels == 1 else ""
    order = "" if fed.order is None else f", {fed.order.upper()}"
    return f" Fed in training: {fed.family}{gray}{order}."


def how_fed(fed: TrainingInput) -> str:
    """The way in which pixels were fed, with the constants where there are usual ones."""
    mean, std = (" ".join(f"{one:g}" for one in values or ()) for values in (fed.mean, fed.std))
    if fed.family is InputFamily.SYMMETRIC:
        return f"pixels in -1..1, as (x - {mean})/{std} makes them"
    if fed.family is InputFamily.STANDARDISED and not mean:
        return "about (x - mean)/std with the mean and std of the training data"
    if fed.family is InputFamily.STANDARDISED:
        return f"about (x - mean)/std with ImageNet's mean {mean} and std {std} or the training data's own"
    if fed.family is InputFamily.CENTRED_BYTES:
        return f"pixels in 0..255 less a mean{f', as {mean}' if mean else ''}"
    return f"pixels in {fed.family}"


def _order(fed: TrainingInput) -> str:
    """The order of three colours, and by what it is told."""
    if fed.channels != len("RGB"):
        return ""
    if fed.order is None:
        return ", RGB or BGR not known"
    return f", {fed.order.upper()} if these are photographs"
