"""Prepare training, validation and test rows: check, split, shuffle, encode and profile them.

Preparation has two stages, both in bounded memory. The first stage reads every table, checks each
row and writes the rows of each split to temporary files. It starts from the kinds of the columns in
the first rows. If all rows together give other kinds, the stage is repeated with these. The second
stage encodes the rows by the schema of all rows.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from itertools import compress
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from refit.domain.errors import DatasetEmpty, DatasetInvalid
from refit.domain.inferences.feature_inputs import added_note, with_added_features
from refit.tabular.added_columns import Digest
from refit.tabular.columns import aligned
from refit.tabular.encoding import RowEncoder
from refit.tabular.folds import HashFolds, TimeFolds
from refit.tabular.leaks import leaking_columns
from refit.tabular.learned_record import learned_record, unseen_classes
from refit.tabular.learned_schema import learned_schema, new_vocabulary, reconciled
from refit.tabular.profile import SAMPLE_ROWS, ProfileSample, profile_of
from refit.tabular.row_reader import LABEL
from refit.tabular.row_writing import full_width, with_weights, write, write_apart
from refit.tabular.setting_notes import unused_settings
from refit.tabular.split import Fractions, Split
from refit.tabular.split_record import (
    REQUIRED_SPLITS,
    check_given_splits,
    check_splits,
    split_doubts,
    split_notes,
    split_rule,
)
from refit.tabular.spool import Spool
from refit.tabular.survey import Survey
from refit.tabular.table_dialects import table_dialects

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from refit.domain.data_settings import DataSettings
    from refit.domain.inferences.feature_inputs import FeatureInputs
    from refit.domain.label_limits import LabelLimits
    from refit.domain.learned import Learned
    from refit.domain.pipeline.schema_change import LiveVersion
    from refit.domain.pipeline.split_rule import SplitRule
    from refit.domain.schema import Schema
    from refit.tabular.added_columns import AddedFeatures, Answers, AskedRows
    from refit.tabular.folds import Folds
    from refit.tabular.learned_schema import ReconciledSchema
    from refit.tabular.quarantine import Quarantine
    from refit.tabular.readers.table import CsvTable
    from refit.tabular.row_writing import ByteSink
    from refit.tabular.spooled import SpooledLines, SpooledRows
    from refit.tabular.table_scan import TableScanner

SEED = 1
"""Of the order of the training rows and of the folds.

It is the same in all runs, so that equal rows and settings train equal models.
"""

_EQUAL_ROWS = (
    "many rows have the same features, so that a hash of the features does not split them into "
    "training and held-out rows: each occurrence of a row is split by itself, and equal rows can "
    "be in several splits"
)


@dataclass(frozen=True)
class FoldSinks:
    """Files of one fold: the rows of its training, and its held-out rows as the test rows are.

    Attributes:
        weights: None if rows have no weights.
    """

    train: ByteSink
    features: ByteSink
    labels: ByteSink
    weights: ByteSink | None


class Preparation:
    """The prepared data of a run.

    Attributes:
        schema: schema of the rows. It extends the live model's schema if the columns are the same.
        comparable: whether the live model can read the same rows.
        rows: number of good rows in each split.
        labelled: number of labelled predictions among them.
        learned: what people should know of the data. It gets the leaks when the training rows are
            written.
        fresh: how many of the test rows are labelled predictions that were not in the live model's
            training data.
        split: how the dropped rows were split.
        has_weights: whether the rows have weights.
        has_times: whether the rows have times.
        answers: what the model that adds columns answered; without it the rows cannot be written
            if the schema has added columns.
    """

    answers: Answers | None = None

    def __init__(
        self,
        spooled: SpooledRows,
        encoder: RowEncoder,
        outcome: ReconciledSchema,
        learned: Learned,
        split: SplitRule,
        sample_rows: int = SAMPLE_ROWS,
        folds: Folds | None = None,
    ) -> None:
        self._folds = folds
        self.learned = learned
        self.split = split
        self._spooled = spooled
        self._encoder = encoder
        self._sample_rows = sample_rows
        self.schema = outcome.schema
        self.comparable = outcome.comparable
        self.rows: Counter[Split] = spooled.rows
        self.labelled: Counter[Split] = spooled.labelled
        self.fresh = spooled.fresh
        self.has_weights = spooled.is_weighted
        self.has_times = spooled.is_timed

    @property
    def threshold_rows(self) -> int:
        """Number of rows on which costs choose a threshold: out of fold, else for validation."""
        return self.rows["validation" if self._folds is None else "train"]

    def write_train(self, train: ByteSink) -> dict[str, Any]:
        """Write the shuffled training rows; return the content of profile.json.

        With row weights, the weight is the second cell, as the container reads it.

        Raises:
            DatasetInvalid: if the training rows are all of one class, or too few for the folds.
        """
        sample = ProfileSample(self.rows["train"], 1 + len(self.schema.features), self._sample_rows)
        labels: Counter[int] = Counter()
        first = True
        for rows, lines in self._encoded("train"):
            sample.add(lines)
            codes = None
            if self.schema.classes is not None:
                codes = _label_codes(lines, len(self.schema.classes))
                labels.update(codes)
            if self._folds is not None:
                self._folds.add(rows, None if codes is None else np.array(codes, dtype=np.int64))
            if first:
                # XGBoost derives the number of columns from the last cell with a value in any row.
                lines[0], first = full_width(lines[0]), False
            write(train, with_weights(lines, rows.weights))
        classes = self._class_counts(labels)
        if self._folds is not None:
            self._folds.divide()
        self.learned = self.learned.with_leaks(leaking_columns(self.schema, sample.matrix()))
        return profile_of(self.schema, self.rows, classes, sample.matrix())

    def write_folds(self, sinks: Sequence[FoldSinks]) -> None:
        """Write the training rows of each fold and its held-out rows, after `write_train`.

        Args:
            sinks: (n_folds,) where to.
        """
        assert self._folds is not None
        is_first = [True] * len(sinks)
        for rows, encoded in self._encoded("train"):
            lines = with_weights(encoded, rows.weights)
            blocks = self._folds.blocks_of(rows)
            for fold, sink in enumerate(sinks):
                train = list(compress(lines, self._folds.is_trained_on(fold, blocks).tolist()))
                if train and is_first[fold]:
                    train[0], is_first[fold] = full_width(train[0]), False
                write(sink.train, train)
                held_out = self._folds.is_held_out(fold, blocks).tolist()
                write_apart(sink.features, sink.labels, list(compress(encoded, held_out)))
                if sink.weights is not None:
                    write(sink.weights, list(compress(rows.weights, held_out)))

    def _class_counts(self, labels: Counter[int]) -> Counter[str] | None:
        if self.schema.classes is None:
            return None
        if len(labels) < 2:
            raise DatasetInvalid(
                "the training rows are all of one class", advice="Drop more rows of the others"
            )
        return Counter({text: labels[code] for code, text in enumerate(self.schema.classes)})

    def write_validation(self, validation: ByteSink) -> None:
        """Write the validation rows: the label, the weight if there are weights, the features."""
        for rows, lines in self._encoded("validation"):
            write(validation, with_weights(lines, rows.weights))

    def write_validation_apart(self, features: ByteSink, labels: ByteSink) -> None:
        """Write the validation rows twice: only the features, and only the labels."""
        for _, lines in self._encoded("validation"):
            write_apart(features, labels, lines)

    def write_test(self, rows: ByteSink, features: ByteSink, labels: ByteSink) -> None:
        """Write the test rows three times: complete, only the features, and only the labels."""
        for _, lines in self._encoded("test"):
            write(rows, lines)
            write_apart(features, labels, lines)

    def write_held_out_weights(self, split: Split, weights: ByteSink) -> None:
        """Write the weights of the rows of a held-out split, which must have weights."""
        for rows in self._spooled.held_out_rows(split):
            write(weights, rows.weights)

    def write_fresh_weights(self, weights: ByteSink) -> None:
        """Write the weights of the fresh test rows, which must have weights."""
        for rows in self._spooled.fresh_rows():
            write(weights, rows.weights)

    def write_test_times(self, times: ByteSink) -> None:
        """Write the times of the test rows; a blank line for a labelled prediction."""
        for rows in self._spooled.held_out_rows("test"):
            write(times, rows.times)

    def write_fresh(self, features: ByteSink, labels: ByteSink) -> None:
        """Write the fresh test rows twice: only the features, and only the labels."""
        first = self.rows["test"] - self.fresh
        for _, lines in self._with_answers(self._spooled.fresh_rows(), "test", first):
            write_apart(features, labels, lines)

    def write_questions(self, split: Split, inputs: FeatureInputs, sink: ByteSink) -> AskedRows:
        """Write the rows of a split as the model reads them that adds columns."""
        digest = Digest()
        for rows in self._rows_of(split):
            lines = self._encoder.encode(rows.lines)
            digest.add(lines)
            write(sink, [inputs.line(line.partition(b",")[2]) for line in lines])
        return digest.asked()

    def _encoded(self, split: Split) -> Iterator[tuple[SpooledLines, list[bytes]]]:
        """Yield all rows of a split, and beside them their encoded lines."""
        yield from self._with_answers(self._rows_of(split), split)

    def _rows_of(self, split: Split) -> Iterator[SpooledLines]:
        is_train = split == "train"
        return self._spooled.shuffled() if is_train else self._spooled.held_out_rows(split)

    def _with_answers(
        self, spooled: Iterator[SpooledLines], split: Split, first: int = 0
    ) -> Iterator[tuple[SpooledLines, list[bytes]]]:
        answers = self.answers.of(split, first) if self.answers else None
        for rows in spooled:
            lines = self._encoder.encode(rows.lines)
            yield rows, lines if answers is None else answers.add_to(lines)
        if answers is not None:
            answers.finish()


def prepare(
    tables: Sequence[CsvTable],
    settings: DataSettings,
    prior: Schema | None,
    folder: Path,
    seed: int,
    quarantine: Quarantine,
    sample_rows: int = SAMPLE_ROWS,
    notes: Sequence[str] = (),
    live: LiveVersion | None = None,
    folds: int = 0,
    limits: LabelLimits | None = None,
) -> Preparation:
    """Read, check and split all rows of a drop, and determine their schema.

    Args:
        tables: tables of the drop, training tables first.
        settings: `[data]` of model.toml.
        prior: the live model's schema, if there is one.
        folder: an empty folder for temporary files, which take as much space as the rows.
        seed: seed for the order of the training rows and for the folds; runs take `SEED`.
        quarantine: receives the refused rows.
        sample_rows: maximum number of training rows from which the profile is computed.
        notes: what was done with the files, as sentences for the record of what was learned.
        live: the live version, if there is one.
        folds: number of folds of the training rows, or 0.
        limits: which labels can be trained on, if the settings limit them.

    Raises:
        DatasetEmpty: if there is no row.
        DatasetInvalid: if the rows cannot be trained on.
        LabelUnclear: if it is not clear which column is the label.
        TooManyBadRows: if more rows are refused than the settings allow.
        SchemaChanged: if the columns differ from the live model's.
    """
    drop = read_drop(tables, settings, prior, folder, seed, quarantine, notes, folds, limits=limits)
    return drop.prepared(sample_rows, live)


@dataclass(frozen=True)
class ReadDrop:
    """A drop whose rows are read and split, before it is decided whether it can be trained on.

    Attributes:
        learned: what people should know of the data.
    """

    learned: Learned
    _spooled: SpooledRows
    _scanner: TableScanner
    _schema: Schema
    _prior: Schema | None
    _settings: DataSettings
    _quarantine: Quarantine
    _given: frozenset[Split]
    _seed: int
    _folds: int
    _added: AddedFeatures | None

    def prepared(
        self, sample_rows: int = SAMPLE_ROWS, live: LiveVersion | None = None
    ) -> Preparation:
        """Return the prepared data.

        Args:
            sample_rows: maximum number of training rows from which the profile is computed.
            live: the live version, if there is one.

        Raises:
            DatasetInvalid: if a required split has no row, or lacks classes.
            TooManyBadRows: if more rows are refused than the settings allow.
            SchemaChanged: if the columns differ from the live model's.
        """
        spooled, scanner = self._spooled, self._scanner
        outcome = self.reconciled(live)
        check_splits(spooled, self._settings)
        unseen = unseen_classes(spooled, self._schema, scanner.tally.values, self._given)
        vocabulary = new_vocabulary(self._schema, self._prior) if outcome.comparable else []
        learned = self.learned.with_doubts([*unseen, *vocabulary])
        if self._added is not None:
            learned = learned.with_notes([added_note(self._added.source, self._added.schema)])
        encoder = RowEncoder(outcome.schema, scanner.values_by_index())
        rule = split_rule(scanner.plan, spooled, self._given)
        folds = self._folds_of(outcome.schema) if self._folds else None
        return Preparation(spooled, encoder, outcome, learned, rule, sample_rows, folds)

    def _folds_of(self, schema: Schema) -> Folds:
        if self._settings.time is not None:
            return TimeFolds(self._folds, self._settings.time, schema.classes)
        return HashFolds(self._folds, self._seed, schema.classes, self._settings.group)

    def reconciled(self, live: LiveVersion | None = None) -> ReconciledSchema:
        """Check all that does not depend on the splits; return the schema of the rows.

        Args:
            live: the live version, if there is one.

        Raises:
            TooManyBadRows: if more rows are refused than the settings allow.
            SchemaChanged: if the columns differ from the live model's.
        """
        self._quarantine.check(self._spooled.rows.total(), self._settings.max_bad_fraction)
        schema = self._schema
        if self._added is not None:
            schema = with_added_features(schema, self._added.source, self._added.schema)
        return reconciled(schema, self._prior, self._settings, live)


def read_drop(
    tables: Sequence[CsvTable],
    settings: DataSettings,
    prior: Schema | None,
    folder: Path,
    seed: int,
    quarantine: Quarantine,
    notes: Sequence[str] = (),
    folds: int = 0,
    added: AddedFeatures | None = None,
    limits: LabelLimits | None = None,
) -> ReadDrop:
    """Read and split all rows of a drop, and determine their schema.

    The arguments are those of `prepare`, and `added`: the model that adds columns, if there is one.

    Raises:
        DatasetEmpty: if there is no row.
        DatasetInvalid: if the rows cannot be read as a table with a label and features.
        TooManyBadRows: if that is so because most rows are refused.
    """
    _keep_freed_memory()
    own = prior.own if prior else None
    dialects = table_dialects(tables, settings, own)
    drop = aligned(tables, dialects, settings, own)
    given: frozenset[Split] = frozenset(table.split for table in tables if table.split)
    check_given_splits(given, settings)
    fractions = Fractions(settings.validation_fraction, settings.test_fraction)

    def spool(*, by_occurrence: bool) -> Spool:
        return Spool(
            _emptied(folder),
            fractions,
            given,
            seed,
            by_occurrence=by_occurrence,
            roles=settings.roles,
            keeps_units=folds > 0,
        )

    survey = Survey(drop, dialects[0], settings, limits)
    try:
        spooled, scanner = survey.read(lambda: spool(by_occurrence=False), quarantine)
        doubts = []
        by_row = settings.group is None and settings.time is None
        if by_row and _lacks_rows(spooled, scanner):
            spooled, scanner = survey.read(lambda: spool(by_occurrence=True), quarantine)
            if all(spooled.rows[split] for split in REQUIRED_SPLITS):
                doubts.append(_EQUAL_ROWS)
        if not spooled.rows.total() and not quarantine.count:
            raise DatasetEmpty(f"{tables[0].name} has a header but no row")
        found = learned_schema(scanner, survey.evidence, drop, settings, own)
    except DatasetInvalid as error:
        if quarantine.count >= survey.good_rows:
            quarantine.check(survey.good_rows, settings.max_bad_fraction)
        reason = f"{error.reason}{quarantine.summary()}"
        raise type(error)(reason, advice=error.advice) from None
    learned = learned_record(
        drop, dialects, survey, scanner, found, quarantine, spooled.rows.total()
    )
    doubts += split_doubts(spooled, settings, given)
    unused = unused_settings(tables, settings, given)
    notes = (*notes, *unused, *learned.notes, *split_notes(scanner.plan, spooled))
    return ReadDrop(
        learned=learned.with_doubts(doubts).model_copy(update={"notes": notes}),
        _spooled=spooled,
        _scanner=scanner,
        _schema=found.schema,
        _prior=prior,
        _settings=settings,
        _quarantine=quarantine,
        _given=given,
        _seed=seed,
        _folds=folds,
        _added=added,
    )


def _lacks_rows(spooled: SpooledRows, scanner: TableScanner) -> bool:
    """Return whether a required split has no row, or all training rows are of one class."""
    if any(not spooled.rows[split] for split in REQUIRED_SPLITS):
        return True
    labels: Counter[bytes] = Counter()
    if scanner.plan.open_label:
        labels = scanner.tally.values.get(LABEL, labels)
    if len(labels) < 2 or spooled.rows["train"] > max(labels.values()):
        return False
    held_out = spooled.held_out_labels("validation") + spooled.held_out_labels("test")
    return sum(count > held_out[label] for label, count in labels.items()) < 2


def _keep_freed_memory() -> None:
    """Make the C library keep the memory that NumPy frees, for the next block of rows.

    After a large block was freed once, glibc takes blocks up to that size from its heap. Without
    this call, page faults take half of the time. It has no effect with other C libraries.
    """
    bytearray(31 * 1024**2)


def _emptied(folder: Path) -> Path:
    rows = folder / "rows"
    if rows.exists():
        shutil.rmtree(rows)
    rows.mkdir()
    return rows


def _label_codes(lines: list[bytes], classes: int) -> list[int]:
    """Return the label of each encoded row."""
    if classes <= 10:  # a code is one digit, and reading its byte takes a fifth of the time
        digits = np.fromiter(map(itemgetter(0), lines), dtype=np.uint8, count=len(lines))
        codes: list[int] = (digits - ord("0")).tolist()
        return codes
    return [int(line.partition(b",")[0]) for line in lines]
