"""The numbers that decide what a file's values and settings say, and whether the input is the right one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileAndInputThresholds:
    """Those of `bncheck.core.Thresholds` that are about values, settings, a reference and the input."""

    # What the input is

    input_far: float = 2.0
    """Gap of a layer that the input feeds beyond which the input itself is wrong: other data reach 0.56."""

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

    # Layers as a program computes them

    fold_parallel: float = 1e-3
    """How far from 1 the cosine may be between a folded row of weights and the row it was made of."""
    fold_unscaled: float = 1e-4
    """Relative difference below which a row of weights was not scaled at all, so that nothing was folded into it."""
    fold_as_good: float = 1e-6
    """Difference between the errors of two eps that does not tell which of them an export folded."""
    fold_rounding_room: float = 25.0
    """Times the smallest number of a type: how large weights are on average whose direction survives rounding to
    it."""
    normalizes_alike: float = 1e-3
    """Difference, relative to the output's own size, from which a user's layer does not normalize by its buffers."""
    widened_agreement: float = 0.01
    """Difference, relative to the largest output, between a batch run at once and in parts, from which a program takes
    its own batch size only."""
    largest_momentum: float = 0.5
    """Momentum above which the newest batch outweighs all others, which nobody means."""
    rounded_variance: float = 0.99
    """Times the initial variance: what it may fall to by being stored in half precision, without an update."""

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
    order_left_exact: float = 0.1
    """Share of the gap that another order may leave, where neither labels nor what predictions tell speak for it."""
    order_noises: float = 2.0
    """Times. How far above its sampling noise that may lie; a cast that imitates another order lies at 3.5."""
    order_apart: float = 4.0
    """Times. How much more of the gap any third order must leave: gray pictures are alike in all of them."""
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

    # Statistics predicted from the weights before a layer

    predicted_alike: int = 5
    """Layers fed alike below which none of them is judged by the others."""
    predicted_fits: float = 0.15
    """Stored deviations. Median distance of layers fed alike from their predicted means, above which something else
    than was assumed stands between them; it was at most 0.08 in 38 groups of healthy layers, 0.26 elsewhere."""
    predicted_explains: float = 0.7
    """And at the most this of what no prediction at all would have: means near 0 are near to any small ones."""
    predicted_suspect: float = 0.15
    """Stored deviations from which a pooling, a gate or a sum before the weight is tried as another explanation."""
    predicted_off: float = 0.17
    """Stored deviations. RMS distance from which the means of a layer are off, if the typical channel's is too."""
    predicted_typical: float = 0.15
    """Stored deviations. Distance of the typical channel (its median, as of a normal distribution); both at once were
    in none of 430 healthy layers."""
    predicted_off_of_many: float = 0.16
    """The same where there are enough fed alike, so that what these differ is known; healthy ones that passed the
    other limits lie within 0.13 there."""
    predicted_typical_of_many: float = 0.14
    """The same of the typical channel."""
    predicted_outlier: float = 2.5
    """Times the distance of the layers fed alike."""
    predicted_at_end: float = 1.5
    """Times both, for the first and the last of the layers fed alike: of 12 other public files five had one of these at
    0.18 to 0.54, and none another above 0.2."""
    predicted_summed: float = 2.5
    """Times these and `predicted_far`, where branches are added before the weight: they are taken to be independent,
    and of 24 healthy networks one had a layer at 0.39 there, 0.44 in the typical channel."""
    predicted_far: float = 0.45
    """Stored deviations. RMS distance that some channels alone may make; healthy layers reach 0.31."""
    predicted_factor: float = 1.15
    """Natural logarithm. By which the stored over the predicted variance must differ from that of layers fed alike,
    where there are enough of these; healthy layers lie between -0.27 and 0.88 then."""
    predicted_few_below: float = 1.3
    """Natural logarithm. By how much it must lie below where there are few; healthy layers lie down to -0.81."""
    predicted_few_above: float = 1.8
    """Natural logarithm. By how much it must lie above where there are few: channels of the last blocks move together,
    and a healthy one reached 1.46."""
    predicted_enough: int = 20
    """Layers fed alike from which they are enough."""
    predicted_spreads: float = 4.0
    """Times the spread of these logarithms by which it must differ too, where there are enough."""
    predicted_spreads_of_few: float = 6.0
    """The same where there are few: of a healthy network trained at a high rate one of 15 lay at 4.6."""
    predicted_least_spread: float = 0.15
    """Natural logarithm. Spread below which layers fed alike are alike by accident."""
    predicted_places: int = 2
    """Layers before and behind it that may excuse one whose variances are off: a stage of five moves together."""
    predicted_along: float = 0.5
    """Share of its logarithm that one of these must have, in the same direction, to excuse it."""
    predicted_many: int = 3
    """Layers far off from which it is no single block."""
    predicted_share: float = 0.1
    """Share of the layers judged that they must be."""
    predicted_far_factor: float = 2.2
    """Natural logarithm. A variance nine times too large or too small is far off."""
    copy_better: float = 1.25
    """Times. How much farther the typical layer's means of an averaged copy must be from those its own weights predict
    than from those the raw model's predict; of averages with statistics of their own it was 1.09 at most."""
    copy_most: float = 0.75
    """Share of the layers of which that must be so at all."""
    copy_far: float = 1.75
    """Times the distance in the raw model, from which statistics beyond `predicted_fits` are not the copy's own,
    whosever they are: averages of statistics reached 1.6 in convolutions, and 0.11 stored deviations at most."""
    copy_layer_far: float = 1.5
    """Times the same distance from which a single layer says so."""
    copy_layers: float = 0.6
    """Share of the layers that must say so; averages of statistics had 0.4 at most."""
    eps_telling: float = 0.25
    """Share of a layer's channels whose output must change by `eps_seen` between eps 1e-6 and 1e-3, or it tells of
    none."""
    eps_worse: float = 1.5
    """Times the distances under the best eps, over all layers and at the typical one, at which another is excluded;
    the right one reached 1.15 at most."""
    eps_worse_by: float = 0.04
    """Stored deviations by which they must be larger, too."""
    eps_layer_worse: float = 1.2
    """Times its distance under the best eps from which a layer speaks against another."""
    eps_agree: float = 0.75
    """Share of the layers that must speak against it."""
    eps_far_off: float = 0.3
    """Stored deviations. Distance under the declared eps, twice what any layers that fit have, from which it is a
    warning."""
