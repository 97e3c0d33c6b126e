"""`inspect --shard I/K --write-moments FILE`, one process after the other, and `merge` of what they wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Done, call, refused, users_code
from made_files import Files


def inspected(files: Files, *options: object) -> Done:
    return call(
        "inspect", files.drifted, "--arch", users_code("Net"), "--data", files.labelled, "--no-config", *options
    )


@pytest.fixture(scope="module")
def parts(files: Files, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("parts")
    paths = [folder / f"part-{index}.safetensors" for index in (1, 2, 3)]
    for index, path in enumerate(paths, 1):
        done = inspected(files, "--shard", f"{index}/3", "--write-moments", path)
        assert (done.code, done.stdout) == (0, ""), done
        assert f"(shard {index}/3) show, " in done.stderr
    return paths


def test_merged_parts_are_judged_like_one_run(files: Files, parts: list[Path]) -> None:
    whole, together = inspected(files, "--report", "json=-"), call("merge", *parts, "--report", "json=-", "--no-config")
    assert together.code == whole.code == 1
    mine, its = together.json, whole.json
    assert [layer["name"] for layer in mine["layers"]] == [layer["name"] for layer in its["layers"]]
    for one, other in zip(mine["layers"], its["layers"], strict=True):
        assert one["gap"] == pytest.approx(other["gap"], rel=1e-10)
        assert one["noise"] == pytest.approx(other["noise"], rel=1e-10)
    assert mine["data"] == its["data"]
    assert mine["run"]["command"] == "bncheck merge"
    assert mine["run"]["again"] == its["run"]["again"]
    assert mine["summary"]["next"] == its["summary"]["next"]


def test_what_all_samples_show_is_kept_beside_the_report(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "all.safetensors"
    done = inspected(files, "--write-moments", path, "--report", "json=-")
    assert (done.code, done.stdout[:1]) == (1, "{")
    assert call("merge", path, "--report", "json=-", "--no-config").json["layers"] == done.json["layers"]
    assert "Found 1" in call("merge", path, "--no-config").stdout
    assert call("merge", path, "--fail-on", "never", "-q").code == 0


def test_a_missing_shard_is_named(parts: list[Path]) -> None:
    assert "1 of 3 shard is missing: 2/3" in refused(call("merge", parts[0], parts[2]), 2)
    assert "is named twice" in refused(call("merge", *parts, parts[0]), 2)
    assert "with inspect and --shard, and name all" in call("merge", parts[0]).stderr


def test_what_is_no_part_ends_in_3(files: Files, tmp_path: Path) -> None:
    (tmp_path / "part.safetensors").write_bytes(b"nothing")
    told = refused(call("merge", tmp_path / "part.safetensors"), 3)
    assert "It should be a file that inspect wrote with --write-moments." in told
    assert "is no part of bncheck" in refused(call("merge", files.drifted), 3)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--shard", "1/3"), "--shard 1/3: name the file that keeps it, --write-moments FILE."),
        (("--shard", "0/3", "--write-moments", "p"), "--shard 0"),
        (("--shard", "4/3", "--write-moments", "p"), "--shard 4/3: shards are counted from 1"),
        (("--shard", "3", "--write-moments", "p"), "--shard 3: expected I/K, like 3/64"),
        (("--shard", "1/²", "--write-moments", "p"), "expected I/K"),
        (("--shard", "1/" + "9" * 5000, "--write-moments", "p"), "nobody has so many"),
        (
            ("--shard", "1/3", "--write-moments", "p", "--report", "csv=-"),
            "--report: --shard writes what one shard saw",
        ),
        (
            ("--shard", "1/3", "--write-moments", "p", "--strict", "--max-gap", "1"),
            "--max-gap, --strict: --shard writes",
        ),
        (("--write-moments", "p", "--renorm"), "--write-moments keeps what a model shows as it is"),
        (("--write-moments", "none/p"), "--write-moments none/p: "),
    ],
)
def test_wrong_commands(files: Files, scratch: Path, options: tuple[str, ...], told: str) -> None:
    assert told in refused(inspected(files, *options), 2)
    assert list(scratch.iterdir()) == []


def test_a_metric_needs_all_outputs_at_once(files: Files, scratch: Path) -> None:
    for options in (("--shard", "1/3"), ()):
        done = inspected(files, *options, "--write-moments", "p", "--metric", users_code("negative_loss"))
        assert "--metric judges the outputs of all samples at once" in refused(done, 2)
    assert list(scratch.iterdir()) == []


def test_moments_are_of_data(files: Files) -> None:
    done = call("inspect", files.drifted, "--shard", "1/2", "--write-moments", "p", "--no-config")
    assert "--shard is about what layers see, and no --data is given" in refused(done, 2)
