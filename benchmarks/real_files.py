"""Put the data sets of well-known packages as they are, each with one command.

    .venv/bin/refit up --detach
    .venv/bin/python benchmarks/real_files.py                all files
    .venv/bin/python benchmarks/real_files.py tips titanic   those whose name contains a word

For each file, `refit put NAME FILE --label LABEL --yes` and `refit watch NAME` are run. A file
counts as sensible if the label and the task are as expected and the model is deployed, so it is
better than the floor; or if it is refused with the expected reason. The table has a line for each
file, with what was learned or the refusal.

The packages are installed into a separate environment, benchmarks/.venv, at the first run. Data
that a package only offers as arrays are written as CSV by pandas, as most people do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGES = HERE / ".venv" / "bin" / "python"
REFIT = Path(sys.executable).parent / "refit"

_EXPORT = """
import sys, pathlib
from sklearn import datasets
out = pathlib.Path(sys.argv[1])
for name in ("iris", "wine", "breast_cancer", "digits", "diabetes", "linnerud"):
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    frame.to_csv(out / f"frame_{name}.csv", index=False)
import bokeh_sampledata, palmerpenguins, plotly, sklearn, statsmodels, vega_datasets
import pandas
titanic = pathlib.Path(bokeh_sampledata.__file__).parent / "_data" / "titanic_all.csv"
frame = pandas.read_csv(titanic)
frame["alive"] = frame["survived"].map({0: "no", 1: "yes"})
frame.to_csv(out / "titanic_alive.csv", index=False)
for module in (bokeh_sampledata, palmerpenguins, plotly, sklearn, statsmodels, vega_datasets):
    print(module.__name__, pathlib.Path(module.__file__).parent)
"""


@dataclass(frozen=True)
class RealFile:
    """A file, and what is to be expected of it.

    Attributes:
        name: name of the model.
        path: `package/path in the package`, or a file that is exported.
        label: value of --label.
        task: the expected task; None if no model can be trained.
        refusal: a part of the expected message, if the file is refused before or after training.
        learned_label: the expected name of the label, if it differs from `label`.
        is_borderline: whether the few held-out rows show the weak signal in some runs only, because
            each run has another seed. Then a live model is as good an answer as the refusal.
    """

    name: str
    path: str
    label: str
    task: str | None
    refusal: str = ""
    learned_label: str = ""
    is_borderline: bool = False


CLASSES, NUMBER = "classification", "regression"
NO_SKILL = "held-out row"
"""The gate refuses a model that is not better than a constant beyond chance, as few rows allow."""

_SK, _SM = "sklearn/datasets/data", "statsmodels/datasets"
_PX, _VEGA = "plotly/package_data/datasets", "vega_datasets/_data"
_BOKEH = "bokeh_sampledata/_data"

FILES = (
    RealFile("iris", "frame_iris.csv", "target", CLASSES),
    RealFile("wine", "frame_wine.csv", "target", CLASSES),
    RealFile("breast-cancer", "frame_breast_cancer.csv", "target", CLASSES),
    RealFile("digits", "frame_digits.csv", "target", CLASSES),
    RealFile("diabetes", "frame_diabetes.csv", "target", NUMBER),
    RealFile("linnerud", "frame_linnerud.csv", "Weight", NUMBER, NO_SKILL),
    RealFile("iris-raw", f"{_SK}/iris.csv", "last", CLASSES, learned_label="virginica"),
    RealFile("wine-raw", f"{_SK}/wine_data.csv", "last", CLASSES, learned_label="label"),
    RealFile("breast-raw", f"{_SK}/breast_cancer.csv", "last", CLASSES, learned_label="label"),
    RealFile("digits-raw", f"{_SK}/digits.csv.gz", "last", CLASSES, learned_label="label"),
    RealFile("linnerud-raw", f"{_SK}/linnerud_physiological.csv", "Weight", NUMBER, NO_SKILL),
    RealFile("penguins", "palmerpenguins/data/penguins.csv", "species", CLASSES),
    RealFile("penguins-raw", "palmerpenguins/data/penguins-raw.csv", "Species", CLASSES),
    RealFile("px-iris", f"{_PX}/iris.csv.gz", "species", CLASSES),
    RealFile("tips", f"{_PX}/tips.csv.gz", "tip", NUMBER),
    RealFile("gapminder", f"{_PX}/gapminder.csv.gz", "lifeExp", NUMBER),
    RealFile("carshare", f"{_PX}/carshare.csv.gz", "car_hours", NUMBER),
    RealFile("election", f"{_PX}/election.csv.gz", "winner", CLASSES),
    RealFile("experiment", f"{_PX}/experiment.csv.gz", "group", CLASSES, NO_SKILL),
    RealFile("wind", f"{_PX}/wind.csv.gz", "frequency", NUMBER),
    RealFile("px-stocks", f"{_PX}/stocks.csv.gz", "GOOG", NUMBER),
    RealFile("medals", f"{_PX}/medals.csv.gz", "gold", None, "test"),
    RealFile("weather", f"{_VEGA}/seattle-weather.csv", "weather", CLASSES),
    RealFile("seattle-temps", f"{_VEGA}/seattle-temps.csv", "temp", None, "no column is left"),
    RealFile("stocks", f"{_VEGA}/stocks.csv", "price", NUMBER),
    RealFile("electricity", f"{_VEGA}/iowa-electricity.csv", "net_generation", NUMBER),
    RealFile("riots", f"{_VEGA}/la-riots.csv", "type", CLASSES, NO_SKILL),
    RealFile("employment", f"{_VEGA}/us-employment.csv", "nonfarm", NUMBER),
    RealFile("airports", f"{_VEGA}/airports.csv", "state", CLASSES),
    RealFile("titanic", f"{_BOKEH}/titanic_all.csv", "survived", CLASSES),
    RealFile("titanic-alive", "titanic_alive.csv", "survived", CLASSES),
    RealFile("auto-mpg", f"{_BOKEH}/auto-mpg.csv", "mpg", NUMBER),
    RealFile("anes96", f"{_SM}/anes96/anes96.csv", "vote", CLASSES),
    RealFile("cancer", f"{_SM}/cancer/cancer.csv", "cancer", NUMBER),
    RealFile("ccard", f"{_SM}/ccard/ccard.csv", "AVGEXP", NUMBER, NO_SKILL),
    RealFile("co2", f"{_SM}/co2/co2.csv", "co2", None, "no column is left"),
    RealFile("copper", f"{_SM}/copper/copper.csv", "WORLDCONSUMPTION", NUMBER, NO_SKILL),
    RealFile("elnino", f"{_SM}/elnino/elnino.csv", "DEC", NUMBER, NO_SKILL),
    RealFile("engel", f"{_SM}/engel/engel.csv", "foodexp", NUMBER),
    RealFile("fair", f"{_SM}/fair/fair.csv", "affairs", NUMBER),
    RealFile("fair-pt", f"{_SM}/fair/fair_pt.csv", "naffairs", CLASSES),
    RealFile("fertility", f"{_SM}/fertility/fertility.csv", "2011", NUMBER),
    RealFile("grunfeld", f"{_SM}/grunfeld/grunfeld.csv", "invest", NUMBER),
    RealFile("heart", f"{_SM}/heart/heart.csv", "survival", NUMBER, NO_SKILL),
    RealFile("inflation", f"{_SM}/interest_inflation/E6.csv", "R", NUMBER),
    RealFile("macrodata", f"{_SM}/macrodata/macrodata.csv", "unemp", NUMBER),
    RealFile("modechoice", f"{_SM}/modechoice/modechoice.csv", "choice", CLASSES),
    RealFile("nile", f"{_SM}/nile/nile.csv", "volume", NUMBER, NO_SKILL),
    RealFile("randhie", f"{_SM}/randhie/randhie.csv", "mdvis", NUMBER),
    RealFile(
        "scotvote", f"{_SM}/scotland/scotvote.csv", "YES", NUMBER, NO_SKILL, is_borderline=True
    ),
    RealFile("spector", f"{_SM}/spector/spector.csv", "GRADE", CLASSES, NO_SKILL),
    RealFile("star98", f"{_SM}/star98/star98.csv", "MATHTOT", NUMBER),
    RealFile("statecrime", f"{_SM}/statecrime/statecrime.csv", "murder", NUMBER),
    RealFile("strikes", f"{_SM}/strikes/strikes.csv", "duration", NUMBER, NO_SKILL),
    RealFile("sunspots", f"{_SM}/sunspots/sunspots.csv", "SUNACTIVITY", NUMBER),
)


def install() -> None:
    """Create the environment of the packages."""
    if not PACKAGES.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PACKAGES.parent.parent)], check=True)
    probe = "import sklearn, palmerpenguins, plotly, statsmodels, vega_datasets, bokeh_sampledata"
    if subprocess.run([PACKAGES, "-c", probe], capture_output=True, check=False).returncode:
        requirements = HERE / "requirements.txt"
        command = [PACKAGES, "-m", "pip", "install", "-qq", "-r", str(requirements)]
        subprocess.run(command, check=True)


def export(folder: Path) -> dict[str, Path]:
    """Write the exported files; return the folder of each package."""
    result = subprocess.run(
        [PACKAGES, "-c", _EXPORT, str(folder)], capture_output=True, text=True, check=True
    )
    lines = (line.split(" ", 1) for line in result.stdout.splitlines())
    return {name: Path(path) for name, path in lines}


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes:
        sensible: whether it is as expected.
        status: DEPLOYED, REFUSED (by the gate), FAILED, or `put` if it was not uploaded.
        text: the sentence of what was learned, or the refusal.
    """

    sensible: bool
    status: str
    text: str


def try_file(file: RealFile, path: Path) -> Outcome:
    """Put a file, and follow its run."""
    put = _refit("put", file.name, str(path), "--label", file.label, "--yes", "--json")
    if put.returncode and not put.stdout:
        raise SystemExit(put.stderr)
    if put.returncode:
        refusal = json.loads(put.stdout)["refusals"][0]
        text = f"{refusal['reason']}. {refusal['advice']}"
        return Outcome(bool(file.refusal) and file.refusal in text, "put", text)
    watch = _refit("watch", file.name, "--json")
    status = json.loads(_refit("status", file.name, "--json").stdout)
    run = status["models"][0]["runs"][0]
    learned, message = run.get("learned"), run["message"] or ""
    if run["status"] != "DEPLOYED" or not learned:
        text = message or " ".join(watch.stderr.split())
        return Outcome(bool(file.refusal) and file.refusal in text, run["status"], text)
    classes = learned["classes"]
    told = f"{learned['label']}: {len(classes)} classes" if classes else learned["label"]
    label = file.learned_label or file.label
    as_expected = learned["label"] == label and learned["task"] == file.task
    ignored = [column["name"] for column in learned["columns"] if column["type"] == "ignored"]
    text = f"{told}; left out {', '.join(ignored) or 'nothing'}"
    if learned["leaks"]:
        text += f"; told to give the label: {', '.join(learned['leaks'])}"
    may_be_live = file.is_borderline or not file.refusal
    return Outcome(as_expected and may_be_live, run["status"], text)


def _refit(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([REFIT, *arguments], capture_output=True, text=True, check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", help="only files whose name contains one of these")
    parser.add_argument("--jobs", type=int, default=3, help="files that are put at the same time")
    options = parser.parse_args()
    files = [
        file
        for file in FILES
        if not options.words or any(word in file.name for word in options.words)
    ]
    install()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packages = export(folder)

        def path_of(file: RealFile) -> Path:
            package, _, inner = file.path.partition("/")
            return packages[package] / inner if inner else folder / file.path

        with ThreadPoolExecutor(options.jobs) as pool:
            outcomes = list(pool.map(lambda file: try_file(file, path_of(file)), files))
    print("| file | label | outcome | sensible | learned, or refusal |\n|---|---|---|---|---|")
    for file, outcome in zip(files, outcomes, strict=True):
        sensible = "yes" if outcome.sensible else "**no**"
        print(f"| {file.name} | {file.label} | {outcome.status} | {sensible} | {outcome.text} |")
    good = sum(outcome.sensible for outcome in outcomes)
    live = sum(outcome.status == "DEPLOYED" for outcome in outcomes)
    print(f"\n{good} of {len(files)} files are sensible; {live} of them are live.")


if __name__ == "__main__":
    main()
