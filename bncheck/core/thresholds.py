"""The numbers that decide, in one place; every report prints those that were in force."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Every number that decides a verdict, with its unit and why it is what it is.

    They were chosen on networks with known faults and on healthy ones (`benchmarks/`), and are no options: what may
    be set is `--max-gap`, the severity that fails a run, and which rules are judged.
    """

    # How large a gap counts

    margin: float = 0.25
    """Gap. Below it lies what healthy networks show: training augments and evaluation does not (up to 0.22)."""
    near_margin: float = 0.1
    """Gap. The margin where accuracy is sure to suffer: a moving average that lags shows gaps no larger than this."""
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

    # Values and their precision

    no_variance: float = 0.01
    """Times eps. A variance below it is as good as 0: eps alone makes the root."""
    smallest_eps: float = 1e-5
    """Eps. PyTorch's, taken for that comparison where the file does not give it."""
    largest_eps: float = 1e-3
    """Eps. The largest in common use: assumed where a file does not give it and a larger one makes the claim weaker."""
    large_gain: float = 10.0
    """Abs(gamma) / sqrt(variance + eps) from which an input that varies at all is amplified."""
    noticeable_output: float = 1e-3
    """Standard deviation of a channel's output from which its loss counts."""
    cancelling: float = 1000.0
    """Standard deviations of a channel's mean from 0 beyond which a variance taken in float32 is off by 6 % and
    more."""
    cancelled_roundings: float = 8.0
    """Roundings of a mean of squares that may have added up."""
    roundings: float = 16.0
    """Roundings, each by the size of the terms added, that a runtime's normalization may be off: the fused form a*x
    + b with a and b in the layer's own type takes about four, an approximate reciprocal root a few more."""

    # Settings and updates

    other_convention: float = 0.9
    """Momentum from which it is Keras' or TensorFlow's weight of the old value, where PyTorch's is that of the new
    one."""
    eps_far: float = 10.0
    """Times. An eps so many times another is of another convention (1e-3 and 1e-5), not another taste."""
    eps_seen: float = 0.1
    """Relative change of a typical channel's output by the other eps, from which the difference counts."""
    eps_behind: int = 2
    """Places behind such a layer, as layers run, where its consequences must be worst: the next, or that of a
    branch."""
    eps_left: float = 0.25
    """Share of the gap over all layers that the right eps may leave."""
    eps_shows: float = 0.02
    """Relative change of a layer's outputs, at the median of its channels, below which another eps is not tried."""
    eps_clearly: float = 0.8
    """Share of the gap under one usual eps that it must fall below under the next, where both are tried."""
    fewest_updates: int = 20
    """Updates below which any counter is a multiple by accident, or of warm-up forwards."""
    largest_factor: int = 32
    """Times as often as the others that a layer may have been updated, and nobody's accident."""

    # Beside a reference

    output_agreement: float = 0.01
    """Relative difference between a model's outputs and its reference's, in float32, that is more than rounding."""
    statistics_agreement: float = 5e-3
    """Gap between a model's statistics and its reference's, stored or of what a layer is fed in both, in float32, that
    is more than rounding."""
    agreement_roundings: int = 50
    """Times the precision of the coarsest type, which both may differ by where it is coarser than float32."""

    # The input

    fed_alike: float = 1e-3
    """RMS gap between what a layer is fed in two runs that rounding does not reach, and a norm before exceeds."""
    map_handicap: float = 0.03
    """Gap by which a map without a name, or made from these very data, must be better than one that has both."""
    known_factor: float = 0.03
    """Relative difference within which a solved factor is a known one."""
    exposure_overlap: float = 0.5
    """Overlap of the values as fed and as expected above which contrast or exposure may account for the difference."""
    exposure_inside: float = 1 / 3
    """Overlap below which values expected within those fed are so much narrower that no other exposure gives them."""
    below_black: float = 0.1
    """How far below 0 normalized values begin, in their range: MNIST's at 0.13, ImageNet's at 0.44."""
    pixel_overshoot: float = 0.02
    """How far pixels may lie outside of 0..1 (resizing overshoots)."""
    pixel_ends: float = 0.05
    """How near to 0 and to 1 the extremes must lie, or the range names no convention."""
    pixel_range: float = 0.3
    """How bright the brightest pixel must be where black is fed as 0, so that the unit alone is in question."""
    pixel_contrast: float = 0.5
    """What the brightest pixel must reach for the values to have their contrast."""
    pixel_least_std: float = 0.05
    """Standard deviation of pixels in 0..1 that nobody divides by less than."""
    standardized: float = 0.3
    """RMS gap from mean 0 and standard deviation 1 that standardized values stay below."""
    unstandardized: float = 1.5
    """The same, that none of them reaches."""
    map_left: float = 0.5
    """Share of a gap that a map of the input may leave."""
    map_left_far: float = 0.05
    """Share of a gap that only the right map leaves: what then exceeds the margin is another domain, not another
    scale."""
    beyond_pictures: float = 5.0
    """Gap of the layers fed by the input that no other exposure, contrast or domain has shown: only another unit."""
    beyond_shift: float = 0.6
    """Gap of the layers fed by the input beyond what shifted data have shown (0.56; healthy ones 0.27)."""
    map_left_near: float = 0.25
    """Share of a gap that a map may leave whose factor exposure or contrast may reach."""
    near_factor: float = 4.0
    """Times. Pictures differ in exposure and contrast by factors below it."""
    map_left_solved: float = 0.125
    """Share of a gap that two numbers made to fit may leave: initial statistics mixed in can be met to a sixth."""
    order_left: float = 0.97
    """Share of the gap that another order of the channels must fall below, where accuracy says the rest."""
    order_left_unlabelled: float = 0.6
    """Share of the gap that it must fall below without labels."""
    order_room: float = 0.1
    """Share of wrong predictions below which hardly any can come of the order."""
    accuracy_left: float = 0.1
    """Accuracy below that of recalibrated statistics that the right map, or the right order, of the input may leave."""
    least_skill: float = 0.25
    """Share of the way from guessing to perfect that predictions must reach in the right order."""
    twice_ends: float = 0.15
    """How near to 0 and to 1 the extremes must come where a normalization that was solved for is undone twice."""
    unit_factor: float = 0.05
    """Relative difference within which a solved factor is that of another unit."""
    flat: float = 0.5
    """Share of a layer's input that is flat from which padding dominates it."""
    lopsided: float = 0.3
    """Share. How one-sided the rest of it must lie: a plain background is flat on all sides."""

    # What the file says of a drift

    copy_left: float = 0.5
    """Share of a gap that the statistics of another copy in the same file may leave where they are said to fit."""
    pruned: float = 0.05
    """Share of weights that are exactly 0 from which they were pruned: training leaves none."""

    # Lag and dropout

    lag_explained: float = 0.9
    """Share of the squared own gaps that one fraction of the way from (0, 1) must explain."""
    lag_channels: int = 8
    """Channels below which a fraction fits by accident."""
    power_explained: float = 0.9
    """Share of the squared own gaps that a power of the stored variances must explain to stand for another quantity."""
    power_left: float = 0.25
    """Share of what the best factor on all variances leaves of them, that such a power may leave."""
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
    beyond_chance: float = 5.0
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
