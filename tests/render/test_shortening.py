"""Where a text is cut that does not fit its lines."""

from __future__ import annotations

import pytest

from bncheck.render.words.shortening import shortened

TRAINING_MODE = (
    "What to do: Call model.eval() and export again; to keep BatchNorm visible in the file, with "
    "`torch.onnx.export(..., dynamo=False, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)`."
)
BY_ITSELF = (
    "What to do: Take the layer's running_mean and running_var from a checkpoint of the same training, or recalibrate "
    "it; then look at what wrote them (a conversion that mixed up tensors, a layer that was frozen or replaced)."
)


@pytest.mark.parametrize(
    ("text", "width", "said"),
    [
        (TRAINING_MODE, 80, "What to do: Call model.eval() and export again."),
        (BY_ITSELF, 80, BY_ITSELF.partition(";")[0] + "."),
        ("Found 1 error. BN600: The gap " + "is very large and " * 30, 80, None),
        ("The one: " + "a word more " * 30, 40, None),
        (
            "Name it with a very long text before `" + "code " * 30 + "` and after",
            40,
            "Name it with a very long text before …",
        ),
        (
            "Name it with a very long text before (" + "aside " * 30 + ") and after",
            40,
            "Name it with a very long text before …",
        ),
        ("Is it so? Yes, it is. " + "No, " * 40, 24, "Is it so? Yes, it is."),
        ("Do this first: if it helps, go on, which " + "is a long way " * 9, 32, "Do this first: if it helps, go on …"),
        ("All of it fits.", 80, "All of it fits."),
    ],
)
def test_a_text_is_cut_where_a_reader_would_stop(text: str, width: int, said: str | None) -> None:
    lines = shortened(text, width, 2)
    whole = " ".join(lines)
    assert 1 <= len(lines) <= 2
    assert max(map(len, lines)) <= width
    if said is None:
        assert whole.endswith(" …")
        assert len(whole) > 1.5 * width
    else:
        assert whole == said
    assert whole.count("`") % 2 == 0
    assert whole.count("(") == whole.count(")")


def test_code_that_never_ends_is_cut_all_the_same() -> None:
    lines = shortened("`" + "code " * 40 + "`", 40, 2)
    assert len(lines) == 2
    assert lines[1].endswith(" …")
