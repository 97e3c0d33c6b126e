"""What findings in an ONNX file advise."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from bncheck.encoding import one_line
from bncheck.evidence import Advice
from bncheck.vocabulary import argument

_OF_PYTORCH = Advice(
    export_anew=(
        "Call model.eval() and export again; to keep BatchNorm visible in the file, with "
        "`torch.onnx.export(..., dynamo=False, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)`."
    ),
    in_training_mode="runtimes made for inference, onnxruntime among them, refuse it",
    run_elsewhere=(
        "Run the model in another version of onnxruntime, with another execution provider, or with graph "
        "optimizations off"
    ),
    lost="both of PyTorch's exporters fold it into them by default",
    recovered=(
        f"Name the checkpoint it was exported from: {argument('reference', 'model.pt')}. Or write its statistics into "
        "the file once, so that it can be checked alone: `bncheck stamp MODEL.onnx --reference model.pt --out "
        "stamped.onnx`."
    ),
    is_trained_on=False,
)
_EXPORT_ANEW = {
    "tf2onnx": "Save the model for inference (its call with training=False), and convert that with tf2onnx again.",
    "keras2onnx": (
        'keras2onnx is no longer kept up: export with Keras\' own `model.export(NAME.onnx, format="onnx")`, or with '
        "tf2onnx."
    ),
    "paddlepaddle": "Call model.eval() and export again, with `paddle.onnx.export` or paddle2onnx.",
}
"""How to export again, by the producer in lower case."""
_LONGEST = 40


@cache
def advice_for(producer: str) -> Advice:
    """What findings advise in a file by this producer: by what wrote it, as it calls itself, and not by PyTorch."""
    name = one_line(producer)[:_LONGEST].strip()
    if name.lower() == "pytorch":
        return _OF_PYTORCH
    key = "paddlepaddle" if name.lower().startswith("paddle") else name.lower()
    return replace(
        _OF_PYTORCH,
        export_anew=_EXPORT_ANEW.get(key, "Export the model again in evaluation mode, by what it was exported with."),
        lost=f"{name or 'what exported it'}, or an optimizer of ONNX graphs after it, may have folded it into them",
    )
