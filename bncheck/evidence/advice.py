"""What a finding advises that depends on what kind of file the model is."""

from __future__ import annotations

from dataclasses import dataclass

from bncheck.vocabulary import argument


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A format's own words in what rules say of any model; the defaults are those of a program that PyTorch runs.

    Attributes:
        export_anew: how to export again, in evaluation mode.
        in_training_mode: what comes of a file that was exported in training mode.
        run_elsewhere: how to have the same computed by another kernel.
        lost: how normalization may have gone from a file that holds convolutions alone.
        recovered: where its statistics may be found then.
        recover: the command that does that, as rules give one.
        identity: what tells statistics that were never updated from those that were folded away.
        can_be_trained: whether bncheck can go on training it.
        is_trained_on: whether anything updates the statistics of such a file, so that momentum is read.
    """

    export_anew: str = "Call model.eval() and export the model again."
    in_training_mode: str = "predictions depend on the batch, and the statistics go unused"
    run_elsewhere: str = "Run the model in another version of PyTorch, on another device, or in the other memory format"
    lost: str = "it was folded into them (jit.freeze, optimize_for_inference, an export for inference)"
    recovered: str = (
        "Name the file from before the folding, the training checkpoint or its state dict: "
        f"{argument('reference', 'model.pt')}. Or inspect that file itself."
    )
    recover: str = "inspect --reference CHECKPOINT"
    identity: str = (
        f"Name the file from before the folding, if there is one: {argument('reference', 'model.pt')}. Or run it on "
        f"labelled data ({argument('data', 'D')}): they show whether it works as it is."
    )
    can_be_trained: bool = False
    is_trained_on: bool = True


PYTORCH_ADVICE = Advice()
"""For programs that PyTorch runs."""
