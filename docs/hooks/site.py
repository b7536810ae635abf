"""mkdocs hooks: pages that stand elsewhere or are made, and links that hold in the repository and
here.

README.md is the home page and benchmarks/*.md are pages, without copies. A link is written as it
holds between files of the repository; what is no page of the site keeps its text and loses its
link.
"""

from __future__ import annotations

import os.path
import re
from pathlib import Path
from typing import Any

import made
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
MOVED = {
    "README.md": "index.md",
    "benchmarks/RESULTS.md": "benchmarks/RESULTS.md",
    "benchmarks/LOG.md": "benchmarks/LOG.md",
}
"""File of the repository -> its address in the site; docs/x is x."""
MADE = {
    "reference/cli.md": made.commands,
    "reference/settings.md": made.settings,
    "reference/scores.md": made.scores,
    "reference/api.md": made.api,
    "reference/modules.md": made.modules,
    "warnings/index.md": made.warnings,
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add what does not lie in docs/."""
    for path, uri in MOVED.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    for picture in sorted((ROOT / "benchmarks/results").glob("*.png")):
        uri = f"benchmarks/results/{picture.name}"
        files.append(File.generated(config, uri, abs_src_path=str(picture)))
    for uri, make in MADE.items():
        files.append(File.generated(config, uri, content=make()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links between files of the repository become links between pages."""
    uri = page.file.src_uri
    source = next((path for path, to in MOVED.items() if to == uri), f"docs/{uri}")

    def turned(found: re.Match[str]) -> str:
        picture, text, target, anchor = found.groups()
        if ":" in target:
            return found[0]
        path = os.path.normpath(
            os.path.join(os.path.dirname(source), target)  # noqa: PTH118, PTH120
        )
        there = MOVED.get(path, path.removeprefix("docs/"))
        if files.get_file_from_path(there) is None:
            if path.startswith("docs/") or picture or not (ROOT / path).exists():
                return found[0]  # a broken link: mkdocs says so
            return text
        here = os.path.relpath(there, os.path.dirname(uri) or ".")  # noqa: PTH120
        return f"{picture}[{text}]({here}{anchor or ''})"

    return LINK.sub(turned, markdown)
