"""`bncheck stamp`: make a folded export checkable alone."""

from __future__ import annotations

import typer

from bncheck.cli.guard import files_of
from bncheck.cli.importing import uncollected
from bncheck.cli.options import declared as opt
from bncheck.cli.options.trusting import AllowOp
from bncheck.cli.options.typed import read_kwargs
from bncheck.cli.process import exit_codes, say, stdout_to_stderr
from bncheck.cli.progress import progress_bar
from bncheck.cli.ranks import refuse_in_job
from bncheck.encoding import one_line
from bncheck.errors import UsageError
from bncheck.progress import begin
from bncheck.vocabulary import argument


def stamp_command(
    context: typer.Context,
    model: opt.OnnxModel,
    reference: opt.Reference = None,
    out: opt.Out = None,
    reference_arch: opt.ReferenceArch = None,
    reference_key: opt.ReferenceKey = None,
    arch_kwargs: opt.ArchKwargs = None,
    trust_pickle: opt.TrustPickle = False,
    allow_op: AllowOp = None,
    no_config: opt.NoConfig = False,
    debug: opt.Debug = False,
) -> None:
    """Write the statistics of the checkpoint into the metadata of its ONNX export.

    A stamped model can be inspected without the checkpoint, also where BatchNorm was folded away. The model itself
    is copied unchanged; an export that does not agree with the checkpoint is refused (exit 1).
    """
    with exit_codes(debug, context):
        if reference is None or out is None:
            missing = (
                f"{argument('reference')}, the checkpoint it was exported from"
                if reference is None
                else f"{argument('out')}, the file to write"
            )
            raise UsageError(f"stamp needs {missing}.")
        refuse_in_job("bncheck stamp")
        files_of(context)
        with stdout_to_stderr(), progress_bar(quiet=False) as progress:
            begin(progress, "stamping the export")
            with uncollected():
                from bncheck.api import stamp

            result = stamp(
                model,
                reference,
                out,
                reference_arch=reference_arch,
                reference_arch_kwargs=read_kwargs(arch_kwargs),
                reference_key=reference_key,
                trust_pickle=trust_pickle,
                allow_ops=allow_op or (),
            )
        folded = f", {result.folded} of them folded" if result.folded else ""
        size = f"{result.stamp_bytes / 1024:.0f} KiB"
        typer.echo(one_line(f"{result.path}: stamped with {result.layers} layers{folded} ({size})."))
        for name in result.unfound:
            say(f"Not found in the export: {name or 'the model itself'}.")
        for copy in result.copied:
            say(f"Copied beside it: {copy.name}.")
