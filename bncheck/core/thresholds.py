"""The numbers that decide, in one place; every report prints those that were in force."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from bncheck.core.file_thresholds import FileAndInputThresholds


@dataclass(frozen=True, slots=True)
class Thresholds(FileAndInputThresholds):
    """Every number that decides a verdict, with its unit and why it is what it is.

    They were chosen on networks with known faults and on healthy ones (`benchmarks/`), and are no options: what may
    be set is `--max-gap`, the severity that fails a run, and which rules are judged.
    """

    # How large a gap counts

    margin: float = 0.25
    """Gap. Below it lies what healthy networks show: training augments and evaluation does not (up to 0.22)."""
    near_margin: float = 0.1
    """Gap. The margin where accuracy is sure to suffer: a moving average that lags shows gaps no larger than this."""
    least_margin: float = 0.02
    """Gap. The margin where a score that is an error, known from every sample, is sure to be a fifth less without."""
    beside: float = 0.2
    """Share of the largest own gap, below which a gap that only the nearer margin shows is not named."""
    outlier: float = 2.5
    """Times. How much larger a layer's own gap must be than that of the next, to be wrong by itself."""
    outlier_gap: float = 0.2
    """Own gap that it must exceed; inner layers of healthy nets reach 0.17."""
    outlier_input: float = 0.3
    """Own gap of layers fed by the input, from which it may be the data rather than a layer."""
    outlier_layers: float = 0.5
    """Share of the layers that may be wrong by themselves: of more it is not the layers."""
    few_layers: int = 2
    """Layers. So many leave one neighbour alone to fit: it must fit closely."""

    # What wrong statistics look like

    pattern_left: float = 0.333
    """Share of a layer's own gap that an explanation of its statistics may leave."""
    pattern_factor: float = 1.5
    """Times. A factor on all variances below it is drift."""
    pattern_between: float = 0.2
    """Share of the channels that may lie between right and wrong, where some are said to be wrong and others right."""

    # What a cost in predictions is

    sure_gain: float = 0.02
    """Score. What recalibration must win, with 95 % confidence, before the nearer margin is taken."""
    gain_margin: float = 0.01
    """Score (0 to 1, or error over the labels' variance). What recalibration must surely win for drift to cost."""
    large_cost: float = 0.1
    """Score. What it must win to be an error rather than a warning, if that is sure to cost."""
    errors_margin: float = 0.2
    """Share of what the score lacks of perfect that it must win back: rare classes and good models count so."""
    large_errors: float = 0.5
    """Share of it from which that is an error, where the score rises by `gain_margin` too."""
    task_z: float = 2.33
    """Standard errors. One-sided 99 % of the normal distribution, for what is asked beside the score."""
    excluded_cost: float = 0.01
    """Score, predictions or change of outputs. The upper 95 % bound of a loss lies below, before it is harmless."""
    fewest_excluding: int = 300
    """Samples below which no loss is excluded: they may hide one of 1 % without a single wrong one (3 / n)."""
    two_sided_z: float = 1.96
    """Standard errors to either side that make a 95 % interval."""
    far_gap: float = 0.6
    """Gap that neither healthy layers show (up to 0.27) nor other data (0.56): it counts where no cost is known."""
    changed_margin: float = 0.05
    """Share of predictions, beyond noise, that recalibration must change before drift is said to matter."""
    output_margin: float = 0.25
    """Relative change of outputs that are no class scores, beyond noise, before drift is said to matter."""
    large_effect: float = 0.2
    """Share of predictions changed from which drift is an error rather than a warning."""
    information_margin: float = 0.1
    """Share of what predictions tell about inputs that a change of these costs or wins, where no labels say more."""
    effect_noises: float = 2.0
    """Times. What noise in the statistics changes is taken off so many times before a change counts."""
    poor: float = 0.5
    """Share of the way from guessing to perfect, below which predictions are poor."""
    sure_z: float = 2.5
    """Standard errors that a gain must exceed where several maps and orders were tried, and the best is kept."""

    # How sure a number is

    look_z: float = 3.29
    """Standard errors by which a look at some samples must decide, to be the last: one in a thousand, two-sided."""

    confidence_z: float = 1.645
    """Standard errors. One-sided 95 % of the normal distribution."""
    false_discoveries: float = 0.05
    """Share of the layers said to have a gap that may be chance."""
    jackknife_groups: int = 20
    """Groups of samples, each left out in turn to see how a gap varies."""
    fewest_groups: int = 8
    """Groups. Below it the jackknife's spread is itself a guess, and no bound is given."""
    assumed_training_batch: int = 32
    """Samples in a training batch where nobody says."""
    assumed_momentum: float = 0.1
    """Weight of the newest batch where nobody says: PyTorch's default."""
    alike: float = 1e-9
    """Gap. Noise below which no sample differs from another: so many of them tell no more than one."""

    # Absent or never learned

    burn_in: float = 0.05
    """Share of the initial statistics, by the update counter, from which they are said not to be burnt in."""
    counter_rounding: float = 0.99
    """Share. Room for a variance that was stored in half precision, below what the counter says is left."""
    initial_floor: float = 2.0
    """Times. A variance up to so many times the initial share lies on the floor that this share makes."""
    initial_crowd: float = 1 / 3
    """Share of the channels that lie there after a short training; over good statistics under a counter that was
    reset it was at most 0.23 (five small nets, three scales of the input, 5 to 28 updates)."""
    initial_left: float = 0.5
    """Share of the gap that may be left once the initial values are taken into account; other drift under a counter
    that was reset keeps 0.8 of its gap or more."""
    most_warm_up_forwards: int = 100
    """Forwards of zeros that are counted: nobody warms up with more."""
    smallest_momentum: float = 0.005
    """Momentum below which a counter and a variance imply none that people write."""
    largest_momentum: float = 0.5
    """Momentum above which the newest batch outweighs all others: mostly another convention's."""
    one_variance: float = 1e-6
    """Relative difference between a layer's variances up to which they are one and the same."""

    # Lag and dropout

    lag_explained: float = 0.9
    """Share of the squared own gaps that one fraction of the way from (0, 1) must explain."""
    lag_channels: int = 8
    """Channels below which a fraction fits by accident."""
    power_explained: float = 0.9
    """Share of the squared own gaps that a power of the stored variances must explain to stand for another quantity."""
    power_left: float = 0.25
    """Share of what the best factor on all variances leaves of them, that such a power may leave."""
    power_near: float = 0.3
    """How far the exponent that fits the channels best may be from that power, as a share of it."""
    lag_begun: float = 0.02
    """Share of the way below which statistics never moved."""
    lag_arrived: float = 0.98
    """Share of the way above which gaps are too small for a lag to show."""
    lag_as_counted: float = 0.1
    """Share of the way by which the fraction may miss what counter and momentum predict."""
    dropout_left: float = 0.5
    """Share of a layer's gap that may be left with dropout on where dropout is what made it."""

    # Training in a repair

    loss_explosion: float = 20.0
    """Times the first loss (or 1, where that is less) by which the mean of the last losses may rise."""

    # Sampling and batch composition

    correlation: float = 0.1
    """Share of the variance of sample means between batches from which batches are no random draws."""
    ratio: float = 1.5
    """Variance of the batches' means, in units of what random batches of that size have, that matters."""
    beyond_random: float = 5.0
    """Standard deviations by which that must exceed what random rearrangements give."""
    rearrangements: int = 40
    """Random rearrangements that it is compared with."""
    fewest_batches: int = 8
    """Batches below which the ratio's distribution has long tails, and a rare draw looks like an order."""
    fewest_ordered_samples: int = 64
    """Samples below which it has them too."""
    batch_noise: float = 0.25
    """Gap (RMS) of a training batch's statistics from those of all batches that is large."""
    bessel: float = 0.02
    """Relative difference between train and eval mode by the divisor of the variance alone that is worth knowing."""
    composition_margin: float = 0.05
    """Accuracy by which batches grouped by label must be predicted better than by any stored statistics, and by
    `sure_z` standard errors, before a model is said to depend on the composition of its batches."""
    composition_loss: float = 0.1
    """Share of the loss that grouped batches must save over the best of all others, and by `sure_z` standard errors."""
    composition_change: float = 0.01
    """Relative change of outputs in batches of another composition that matters even where no decision changes."""
    alike_again: float = 3.0
    """Times. How much more than a second run of the same batch another composition must change, to be no randomness."""
    composition_rounding: float = 1e-3
    """Relative change of outputs that the order of additions can reach in float32."""
    composition_roundings: int = 16
    """The same in coarser types, in units of their precision."""

    # Baselines

    baseline_relative: float = 0.1
    """Share by which a known finding's measure may grow."""
    baseline_noises: float = 3.0
    """Times the measure's noise by which it may grow."""
    baseline_smallest: float = 0.01
    """Units of the measure by which it may always grow where it has noise."""


THRESHOLDS = Thresholds()


def in_force() -> dict[str, float]:
    """All of them by name, for the report."""
    return asdict(THRESHOLDS)


# The same numbers under the names by which other rooms still import them.
MARGIN, NEAR_MARGIN = THRESHOLDS.margin, THRESHOLDS.near_margin
GAIN_MARGIN, CHANGED_MARGIN = THRESHOLDS.gain_margin, THRESHOLDS.changed_margin
INFORMATION_MARGIN, ROUNDINGS = THRESHOLDS.information_margin, THRESHOLDS.roundings
