"""The site of the documentation: built strictly from the pages in the repository, all of them within reach."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from bncheck.rules import RULES

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it: a link that leads nowhere, or a name that the API has not, ends the build."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True)
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    return folder


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_site_has_every_page(site: Path) -> None:
    made = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert {f"rules/{rule.code}.html" for rule in RULES} <= made
    assert {"index.html", "api.html", "security.html", "start/ci.html"} <= made
    api = (site / "api.html").read_text(encoding="utf-8")
    assert all(f'id="bncheck.{name}"' in api for name in ("inspect", "Report", "repair_file"))
    listed = re.findall(r"\]\(([^)]+)\)", (site / "llms.txt").read_text(encoding="utf-8"))
    assert set(listed) == made - {"404.html"}


@pytest.mark.parametrize(
    ("page", "text", "there"),
    [
        ("index.md", "[a](docs/many-processes.md)", "[a](many-processes.md)"),
        ("index.md", "[a](sample_models/README.md#how)", "[a](samples.md#how)"),
        ("index.md", "![a](docs/images/report.png)", "![a](images/report.png)"),
        ("which-cause.md", "[a](../bncheck/rules/absent/bn102.md)", "[a](rules/BN102.md)"),
        ("start/ci.md", "[a](../which-cause.md)", "[a](../which-cause.md)"),
        ("rules/BN102.md", "[a](../../../SECURITY.md)", "[a](../security.md)"),
        ("index.md", "[a](Makefile)", "a"),
        ("index.md", "[a](https://example.org/b)", "[a](https://example.org/b)"),
        ("index.md", "```\n[a](Makefile)\n```", "```\n[a](Makefile)\n```"),
    ],
)
def test_links_lead_within_the_site(page: str, text: str, there: str) -> None:
    assert runpy.run_path(str(ROOT / "docs" / "site.py"))["within_site"](text, page) == there
