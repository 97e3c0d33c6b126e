"""From what one sees to the rules that may be behind it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Symptom:
    """What a user sees.

    Attributes:
        title: in the user's words.
        look: what tells the causes apart, and the command that shows it.
        codes: what may be behind it, the likeliest first.
    """

    title: str
    look: str
    codes: tuple[str, ...]


SYMPTOMS = (
    Symptom(
        "Good in training, bad after `model.eval()`, on the training data too",
        "The statistics never were those of the weights, or the weights lean on the company in a batch. Inspect it on "
        "the training data, in the order in which training reads them:\n"
        "`bncheck inspect model.pt --data train.npz --train-data train.py:loader`.",
        ("BN102", "BN103", "BN105", "BN608", "BN401", "BN610", "BN609", "BN611", "BN612", "BN101"),
    ),
    Symptom(
        "Good on the validation set, bad on data of one's own",
        "The preprocessing, or another domain. In the report the first layer is off by its own gap and the others "
        "inherit: `bncheck inspect model.pt --data mine/`.",
        ("BN601", "BN602", "BN603", "BN606"),
    ),
    Symptom(
        "Bad since it was exported, converted or cast",
        "Inspect the export with the checkpoint beside it: `bncheck inspect deploy.onnx --reference model.pt --data "
        "val.npz`.",
        ("BN701", "BN403", "BN705", "BN704", "BN204", "BN205", "BN702"),
    ),
    Symptom(
        "Predictions depend on what else is in the batch",
        "`bncheck inspect model.pt --data val.npz` runs each sample in two batches.",
        ("BN703", "BN303", "BN610"),
    ),
    Symptom(
        "NaN, infinity, or numbers of absurd size",
        "The stored values alone tell: `bncheck inspect model.pt`.",
        ("BN201", "BN202", "BN203", "BN206", "BN204", "BN302"),
    ),
    Symptom(
        "One layer of the report is off, the others fit",
        "A large *own* gap in an inner layer: its own statistics are at fault, not its input's.",
        ("BN607", "BN604", "BN203", "BN302", "BN501"),
    ),
    Symptom(
        "Averaged weights (EMA, SWA) are worse than the raw ones",
        "Inspect both: `bncheck inspect last.pt --key ema --arch net.py:build --data val.npz`, and `--key model`.",
        ("BN401", "BN102", "BN603", "BN104"),
    ),
    Symptom(
        "Worse after fine-tuning, although the backbone was frozen",
        "`bncheck diff before.pt after.pt --expect-frozen 'backbone.*'` shows what moved.",
        ("BN402", "BN301", "BN608", "BN609"),
    ),
    Symptom(
        "Training is noisy, or validation jumps from epoch to epoch",
        "The batches themselves: `--train-data` with the training's own loader.",
        ("BN605", "BN609", "BN612", "BN301", "BN608", "BN501"),
    ),
    Symptom(
        "bncheck says too little, or nothing was checked",
        "The exit code is 4. Give more samples, data that reach the layers, or the checkpoint of the export.",
        ("BN707", "BN706", "BN705", "BN101"),
    ),
    Symptom(
        "A gap above the limit of `--max-gap`",
        "The limit is yours; the report's other findings say why.",
        ("BN600", "BN603"),
    ),
)
