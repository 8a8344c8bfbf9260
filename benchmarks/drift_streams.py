"""Compare drift detectors on the errors of a fixed model when the data changes.

    python benchmarks/drift_streams.py [--quick] [--seeds 10] [--mnist mnist.pkl.gz]

There are nine generated streams. A gradient-boosted model is trained on 10,000 rows, and its
held-out quality is measured on 10,000 others. Then it predicts 10,000 (or 500) rows of the same
distribution and 10,000 rows after the change, all of which are labelled. With --mnist FILE, there
are also streams of handwritten digits that are rotated, shifted or relabelled; the test images of
the file are the held-out rows.
"""

import argparse
import gzip
import pickle
from collections import defaultdict
from itertools import islice

import numpy as np
from drift_detectors import Refit, in_own_environment, opponents, scored

TRAINING = HELD_OUT = BEFORE = AFTER = 10_000
SOON = 500


def streams():
    """Return, by name, functions that create the rows before and after the change."""
    from river.datasets import synth

    def pair(make, one, other, **settings):
        def of(seed):
            first = make(classification_function=one, seed=seed, **settings)
            second = make(classification_function=other, seed=seed + 1000, **settings)
            return generated(first), generated(second)

        return of

    def led(noise, swapped):
        def of(seed):  # the drift swaps relevant segments with some of the 17 irrelevant ones
            after = synth.LEDDrift(seed + 1000, noise, True, n_drift_features=swapped)
            return generated(synth.LED(seed, 0.1, True)), generated(after)

        return of

    def sea(one, other):
        def of(seed):
            first = synth.SEA(variant=one, noise=0.1, seed=seed)
            return generated(first), generated(synth.SEA(other, 0.1, seed + 1000))

        return of

    return {
        "SEA 0→3": sea(0, 3),
        "SEA 2→3": sea(2, 3),
        "STAGGER 0→1": pair(synth.STAGGER, 0, 1),
        "Agrawal 0→2": pair(synth.Agrawal, 0, 2),
        "Agrawal 6→7": pair(synth.Agrawal, 6, 7),
        "Sine 0→2": pair(synth.Sine, 0, 2),
        "Mixed 0→1": pair(synth.Mixed, 0, 1),
        "LED, a segment swapped": led(0.1, 1),
        "LED, noise 10→15 %": led(0.15, 0),
    }


def generated(stream):
    """Return a function that returns the next n rows and labels of an endless stream."""
    rows = iter(stream.take(10**9))

    def take(n):
        taken = list(islice(rows, n))
        values = np.array([[float(value) for value in row.values()] for row, _ in taken])
        return values, np.array([int(label) for _, label in taken])

    return take


def drawn(images, labels, seed):
    random = np.random.default_rng(seed)

    def take(n):
        indices = random.integers(0, len(images), n)
        return images[indices], labels[indices]

    return take


def mnist_streams(path):
    """Return the streams of handwritten digits, a model, and its held-out rows."""
    with gzip.open(path) as file:  # loading a pickle can run code, so the file must be trusted
        parts = pickle.load(file, encoding="latin1")
    (train, train_labels), (valid, valid_labels), (test, test_labels) = parts
    images = valid.reshape(-1, 28, 28)
    moved = {
        "MNIST turned by 20°": turned(images, 20).reshape(-1, 784),
        "MNIST shifted by 2 pixels": np.roll(images, 2, axis=2).reshape(-1, 784),
    }
    swapped = valid_labels.copy()
    swapped[valid_labels == 4], swapped[valid_labels == 9] = 9, 4
    worlds = {name: (after, valid_labels) for name, after in moved.items()}
    worlds["MNIST, 4 and 9 swapped"] = (valid, swapped)
    model = trained(train, train_labels, 10)

    def of(after):
        return lambda seed: (drawn(valid, valid_labels, seed), drawn(*after, seed + 1000))

    return {name: of(after) for name, after in worlds.items()}, model, (test, test_labels)


def turned(images, degrees):
    """Rotate images about their centre, taking the nearest pixel."""
    side = images.shape[1]
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    angle = np.deg2rad(degrees)
    from_rows = np.rint(np.cos(angle) * rows + np.sin(angle) * columns + (side - 1) / 2)
    from_columns = np.rint(-np.sin(angle) * rows + np.cos(angle) * columns + (side - 1) / 2)
    inside = (from_rows >= 0) & (from_rows < side) & (from_columns >= 0) & (from_columns < side)
    indices = [np.clip(each, 0, side - 1).astype(int) for each in (from_rows, from_columns)]
    return np.where(inside, images[:, indices[0], indices[1]], 0)


def trained(rows, labels, classes):
    import xgboost as xgb

    settings = {"objective": "multi:softprob", "num_class": classes, "max_depth": 5, "eta": 0.3}
    booster = xgb.train(settings | {"seed": 7}, xgb.DMatrix(rows, label=labels), 60)
    return lambda values: booster.predict(xgb.DMatrix(values)).argmax(axis=1)


def measured(model, held_out, classes):
    from refit.domain.monitoring.baseline_measures import classification_baseline_of

    rows, labels = held_out
    texts = [str(code) for code in range(classes)]
    return classification_baseline_of(labels, model(rows), None, texts, {})


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10, help="repetitions of each stream")
    parser.add_argument("--cohort", type=int, default=16, help="labels in a cohort of Refit")
    parser.add_argument("--mnist", metavar="FILE", help="mnist.pkl.gz")
    parser.add_argument("--quick", action="store_true", help="2 seeds")
    options = parser.parse_args()
    in_own_environment()
    board = Board()
    for name, make in streams().items():
        for seed in range(2 if options.quick else options.seeds):
            before, after = make(seed)
            rows, labels = before(TRAINING)
            classes = max(int(labels.max()) + 1, 2)
            model = trained(rows, labels, classes)
            baseline = measured(model, before(HELD_OUT), classes)
            board.play(name, model, baseline, before(BEFORE), after(AFTER), options.cohort)
        board.show(name)
    if options.mnist:
        worlds, model, held_out = mnist_streams(options.mnist)
        baseline = measured(model, held_out, 10)
        for name, make in worlds.items():
            for seed in range(2 if options.quick else options.seeds):
                before, after = make(seed)
                board.play(name, model, baseline, before(BEFORE), after(AFTER), options.cohort)
            board.show(name)
    else:
        print("MNIST is skipped; add it with --mnist mnist.pkl.gz")
    board.summary()


class Board:
    """Collects the scores and prints them."""

    def __init__(self):
        self._false = defaultdict(int)
        self._delays = defaultdict(list)
        self._errors = defaultdict(list)
        self._names = []

    def play(self, stream, model, baseline, before, after, cohort):
        labels = np.concatenate([before[1], after[1]])
        wrong = model(np.concatenate([before[0], after[0]])) != labels
        self._errors[stream].append((wrong[:BEFORE].mean(), wrong[BEFORE:].mean()))
        detectors = {"Refit": Refit(baseline, cohort), **opponents()}
        self._names = list(detectors)
        for name, detector in detectors.items():
            for known in (BEFORE, SOON):
                begin = BEFORE - known
                alarms = detector.alarms(wrong[begin:], labels[begin:])
                false, delay = scored(alarms, known, AFTER)
                self._false[name, known, stream] += false
                self._delays[name, known, stream].append(delay)

    def show(self, stream):
        if len(self._errors) == 1:
            print(f"{'median labels until the alarm':28}{'errors':>18}", end="")
            print("".join(f"{name:>18}" for name in self._names))
        was, now = np.mean(self._errors[stream], axis=0)
        cells = "".join(
            f"{_median(self._delays[name, BEFORE, stream]):>18}" for name in self._names
        )
        print(f"{stream:28}{f'{was:.1%} → {now:.1%}':>18}{cells}", flush=True)

    def summary(self):
        for known in (BEFORE, SOON):
            print(f"\n{known:,} labels before the change: false alarms / missed / median / mean")
            for name in self._names:
                delays = [
                    delay for stream in self._errors for delay in self._delays[name, known, stream]
                ]
                seen = [delay for delay in delays if delay is not None]
                false = sum(self._false[name, known, stream] for stream in self._errors)
                print(
                    f"{name:16}{false:,} / {len(delays) - len(seen)} / "
                    f"{np.median(seen):,.0f} / {np.mean(seen):,.0f}"
                )


def _median(delays):
    seen = [delay for delay in delays if delay is not None]
    missed = len(delays) - len(seen)
    text = f"{np.median(seen):,.0f}" if seen else "none"
    return f"{text} ({missed} missed)" if missed else text


if __name__ == "__main__":
    main()
