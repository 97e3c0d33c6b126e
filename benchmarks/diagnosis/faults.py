"""Every fault that is planted, in the order of the table."""

from __future__ import annotations

from benchmarks.diagnosis import data_faults, file_faults, statistics_faults
from benchmarks.diagnosis.planted import Plan

PLANS: tuple[Plan, ...] = (
    statistics_faults.never_updated,
    statistics_faults.warm_up_forwards,
    statistics_faults.not_burnt_in,
    statistics_faults.lag,
    statistics_faults.broken_values,
    statistics_faults.one_layer,
    statistics_faults.averaged_weights,
    file_faults.vanishing_variance,
    file_faults.settings,
    file_faults.counters,
    file_faults.half_precision,
    file_faults.missing,
    file_faults.averaged,
    file_faults.exported,
    file_faults.loaders,
    data_faults.scaled_input,
    data_faults.missing_mean_std,
    data_faults.swapped_channels,
    data_faults.other_domain,
    data_faults.one_class_batches,
)
