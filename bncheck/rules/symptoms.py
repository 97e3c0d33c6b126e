"""From what one sees to the rules that may be behind it."""

from __future__ import annotations

from dataclasses import dataclass

from bncheck.rules.catalogue import RULES


@dataclass(frozen=True, slots=True)
class Symptom:
    """What a user sees.

    Attributes:
        key: by which the heads of pages name it.
        title: in the user's words.
        look: what tells the causes apart, and the command that shows it.
    """

    key: str
    title: str
    look: str

    @property
    def codes(self) -> tuple[str, ...]:
        """Give what may be behind it, the likeliest first, by what the pages say."""
        places = [(dict(rule.symptoms)[self.key], rule.code) for rule in RULES if self.key in dict(rule.symptoms)]
        return tuple(code for _, code in sorted(places))


SYMPTOMS = (
    Symptom(
        "bad-in-eval",
        "Good in training, bad after `model.eval()`, on the training data too",
        "The statistics never were those of the weights, or the weights lean on how batches are composed. Inspect it "
        "on the training data, in the order in which training reads them:\n"
        "`bncheck inspect model.pt --data train.npz --train-data train.py:loader`.",
    ),
    Symptom(
        "bad-on-own-data",
        "Good on the validation set, bad on data of one's own",
        "The preprocessing, or another domain. In the report the first layer is off by its own gap and the others "
        "inherit: `bncheck inspect model.pt --data mine/`.",
    ),
    Symptom(
        "bad-after-export",
        "Bad since it was exported, converted or cast",
        "Inspect the export with the checkpoint beside it: `bncheck inspect deploy.onnx --reference model.pt --data "
        "val.npz`.",
    ),
    Symptom(
        "depends-on-batch",
        "Predictions depend on what else is in the batch",
        "`bncheck inspect model.pt --data val.npz` runs each sample in two batches.",
    ),
    Symptom(
        "not-finite",
        "NaN, infinity, or numbers of absurd size",
        "The stored values alone tell: `bncheck inspect model.pt`.",
    ),
    Symptom(
        "one-layer-off",
        "One layer of the report is off, the others fit",
        "A large *own* gap in an inner layer: its own statistics are at fault, not its input's.",
    ),
    Symptom(
        "averaged-worse",
        "Averaged weights (EMA, SWA) are worse than the raw ones",
        "Inspect both: `bncheck inspect last.pt --key ema --arch net.py:build --data val.npz`, and `--key model`.",
    ),
    Symptom(
        "fine-tuned-worse",
        "Worse after fine-tuning, although the backbone was frozen",
        "`bncheck diff before.pt after.pt --expect-frozen 'backbone.*'` shows what moved.",
    ),
    Symptom(
        "noisy-training",
        "Training is noisy, or validation jumps from epoch to epoch",
        "The batches themselves: `--train-data` with the training's own loader.",
    ),
    Symptom(
        "not-checked",
        "bncheck says too little, or nothing was checked",
        "The exit code is 4. Give more samples, data that reach the layers, or the checkpoint of the export.",
    ),
    Symptom(
        "above-limit",
        "A gap above the limit of `--max-gap`",
        "The limit is yours; the report's other findings say why.",
    ),
)
