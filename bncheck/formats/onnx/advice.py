"""What findings in an ONNX file advise."""

from __future__ import annotations

from bncheck.evidence import Advice
from bncheck.vocabulary import argument

ADVICE = Advice(
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
        f"Name the checkpoint it was exported from: {argument('reference')} model.pt. Or write its statistics into "
        "the file once, so that it can be checked alone: `bncheck stamp MODEL.onnx --reference model.pt --out "
        "stamped.onnx`."
    ),
    is_trained_on=False,
)
