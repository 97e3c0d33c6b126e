"""The hooks of `mkdocs.yml`: pages that stand elsewhere in the repository, and links that lead to them.

A page stands where its readers look for it: a rule's beside its code, the README at the top. The site shows them all,
and a link from one to another leads within it. A link to code, for which the site has no page, becomes its text.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bncheck.rules import GROUPS, RULES

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
ELSEWHERE = {
    "index.md": "README.md",
    "security.md": "SECURITY.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "integrations.md": "bncheck/integrations/README.md",
    "samples.md": "sample_models/README.md",
    **{f"rules/{rule.code}.md": rule.path.relative_to(ROOT).as_posix() for rule in RULES},
}
"""Where a page of the site stands in the repository, where that is not docs/."""

LIST = "rules/index.md"
LINK = re.compile(r"(?<!\!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List every rule in the navigation, by its group."""
    groups: dict[str, list[str]] = {}
    for rule in RULES:
        groups.setdefault(f"{rule.code[:3]}: {GROUPS[rule.code[:3]]}", []).append(f"rules/{rule.code}.md")
    rules = [LIST, *({title: pages} for title, pages in groups.items())]
    config.nav = [{"Rules": rules} if "Rules" in part else part for part in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Bring in the pages that stand elsewhere."""
    from mkdocs.structure.files import File

    for name, path in ELSEWHERE.items():
        files.append(File.generated(config, name, content=(ROOT / path).read_text(encoding="utf-8")))
    files.append(File.generated(config, LIST, content=rules_page()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: object) -> str:
    """Have links lead to where the site has their pages, and pictures too; write each down in `llms.txt`."""
    written = within_site(markdown, page.file.src_uri)
    title = re.search(r"^# (.+)$", written, re.MULTILINE)
    config.extra.setdefault("llms", []).append(f"- [{title[1] if title else page.title}]({page.url})")
    return written


def on_post_build(config: MkDocsConfig) -> None:
    """Write `llms.txt` (llmstxt.org): what the project is, and where its pages are."""
    head = [f"# {config.site_name}", "", f"> {config.site_description}", "", "## Pages", ""]
    text = "\n".join([*head, *config.extra["llms"]]) + "\n"
    (Path(config.site_dir) / "llms.txt").write_text(text, encoding="utf-8")


def rules_page() -> str:
    """A table of the rules, by group."""
    lines = ["# Rules", "", "What a finding's code means; `bncheck rule CODE` prints the same page.", ""]
    group = ""
    for rule in RULES:
        if rule.code[:3] != group:
            group = rule.code[:3]
            lines += ["", f"## {group}: {GROUPS[group]}", "", "| code | at most | what | needs |", "|---|---|---|---|"]
        lines.append(f"| [{rule.code}]({rule.code}.md) | {rule.severity} | {rule.title} | {', '.join(rule.needs)} |")
    return "\n".join(lines) + "\n"


def within_site(markdown: str, name: str) -> str:
    """Markdown of the site's page `name`, whose links lead from there.

    Within fences of code nothing is a link.
    """
    origin = PurePosixPath(ELSEWHERE.get(name, f"docs/{name}")).parent
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else _linked(part, name, origin) for part in parts)


def _linked(text: str, name: str, origin: PurePosixPath) -> str:
    pages = {path: page for page, path in ELSEWHERE.items()}

    def replaced(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        if target.startswith(("http:", "https:", "mailto:")) or name == LIST:
            return found[0]
        path = os.path.normpath(origin / target)
        there = pages.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if there is None:
            return words
        return f"[{words}]({os.path.relpath(there, PurePosixPath(name).parent)}{anchor})"

    pictures = re.sub(
        r"\!\[([^\]]*)\]\((docs/[^)]+)\)",
        lambda found: f"![{found[1]}]({os.path.relpath(found[2].removeprefix('docs/'), PurePosixPath(name).parent)})",
        text,
    )
    return LINK.sub(replaced, pictures)
