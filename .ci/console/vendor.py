"""Copy the console's libraries from their npm packages, at the versions of package-lock.json.

    make vendor-console

npm checks each package against the hash in package-lock.json. axe-core serves the tests only.
`tests/unit/test_vendored_libraries.py` compares the copies with vendored.json.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CONSOLE = "functions/refit/console/vendor"
TESTS = "tests/fixtures/axe"
COPIES = {
    "preact/dist/preact.mjs": f"{CONSOLE}/preact.js",
    "preact/hooks/dist/hooks.mjs": f"{CONSOLE}/hooks.js",
    "preact/LICENSE": f"{CONSOLE}/preact.LICENSE.txt",
    "htm/dist/htm.mjs": f"{CONSOLE}/htm.js",
    "htm/LICENSE": f"{CONSOLE}/htm.LICENSE.txt",
    "uplot/dist/uPlot.esm.js": f"{CONSOLE}/uplot.js",
    "uplot/dist/uPlot.min.css": f"{CONSOLE}/uplot.css",
    "uplot/LICENSE": f"{CONSOLE}/uplot.LICENSE.txt",
    "axe-core/axe.min.js": f"{TESTS}/axe.min.js",
    "axe-core/LICENSE": f"{TESTS}/LICENSE.txt",
}


def adapted(text: str) -> str:
    """Let modules find each other without an import map, and leave out maps that are not served."""
    lines = [line for line in text.splitlines() if not line.startswith("//# sourceMappingURL=")]
    return "\n".join(lines).replace('from"preact"', 'from"./preact.js"') + "\n"


def main() -> None:
    """Install the packages into a temporary folder, and copy the files with their hashes."""
    hashes = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            (Path(folder) / name).write_bytes((HERE / name).read_bytes())
        subprocess.run(["npm", "ci", "--silent", "--ignore-scripts"], cwd=folder, check=True)
        for source, target in COPIES.items():
            text = (Path(folder) / "node_modules" / source).read_text("utf-8")
            content = adapted(text).encode()
            path = ROOT / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            hashes[target] = hashlib.sha256(content).hexdigest()
    (HERE / "vendored.json").write_text(json.dumps(hashes, indent=2) + "\n")


if __name__ == "__main__":
    main()
