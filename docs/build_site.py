"""Render README, docs/ and the pages of the examples as a site: `make docs`.

The pages are copied into `.refit/site/pages` with their folders, so their links hold, and rendered
by Zensical into `.refit/site/html`. A link to a page, heading or file that does not exist fails.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "docs/*.png",
    "docs/*.svg",
    "docs/assets/*",
    "docs/console/*",
    "examples/*/README.md",
    "benchmarks/README.md",
)
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)|\bsrc=\"([^\"]+)\"")
LINKED_FILES = ("benchmarks/*.py", "examples/*/model.toml")
"""Files that pages link to; they are shown as they are."""


def missing_pictures(pages: Path) -> Iterator[str]:
    """Say which pictures of the pages are not among the files. Zensical checks links only."""
    for page in sorted(pages.rglob("*.md")):
        for match in PICTURE.finditer(page.read_text("utf-8")):
            target = match[1] or match[2]
            if not (page.parent / target).is_file():
                yield f"{page.relative_to(pages)}: the picture {target} does not exist"


def main() -> None:
    """Build the site, or show what is wrong with it."""
    pages = ROOT / ".refit/site/pages"
    shutil.rmtree(pages.parent, ignore_errors=True)
    for pattern in (*PAGES, *LINKED_FILES):
        for path in ROOT.glob(pattern):
            target = pages / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    if missing := list(missing_pictures(pages)):
        sys.exit("\n".join([*missing, "the site was not built"]))
    program = Path(sys.executable).with_name("zensical")
    done = subprocess.run(
        [program, "build", "--strict", "--clean", "--config-file", ROOT / "zensical.toml"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        # Zensical colours its output, and ends with a traceback of its own code.
        said = done.stdout + done.stderr.partition("Traceback")[0]
        sys.exit(re.sub(r"\x1b\[[0-9;]*m", "", said) + "the site was not built")
    print(f"the site: {ROOT / '.refit/site/html/index.html'}")


if __name__ == "__main__":
    main()
