"""`refit check` and `refit put` refuse what a run would refuse, before anything is uploaded."""

from __future__ import annotations

import random

import pytest
from botocore.exceptions import ClientError
from refit.domain.schema import Feature, Schema

from tests.support.cli import CHAMPION
from tests.support.model_files import manifest
from tests.support.small_tables import flowers, write_csv

ONE_OF_ITSELF = "a model cannot read its own predictions"
LONG_WIDE = tuple(Feature(name=name, type="number") for name in ("long", "wide"))
KINDS = ("setosa", "versicolor", "virginica")


@pytest.fixture
def three(tmp_path):
    return write_csv(tmp_path / "three.csv", flowers(300), ["long", "wide", "label"])


@pytest.fixture
def two(tmp_path):
    rng = random.Random(3)
    rows = [
        [f"{rng.random():.3f}", f"{number % 83}", "yes" if rng.random() > 0.5 else "no"]
        for number in range(300)
    ]
    return write_csv(tmp_path / "two.csv", rows, ["long", "wide", "label"])


@pytest.fixture
def numbers(tmp_path):
    rng = random.Random(3)
    rows = [
        [f"{rng.random():.3f}", f"{rng.random():.3f}", f"{rng.gauss(9, 2):.4f}"] for _ in range(300)
    ]
    return write_csv(tmp_path / "numbers.csv", rows, ["long", "wide", "label"])


@pytest.fixture
def toml(tmp_path):
    def write(text):
        path = tmp_path / "model.toml"
        path.write_text(text)
        return path

    return write


def hyperparameters(text: str) -> str:
    return f"[training]\nhyperparameters = {{ {text} }}\n"


OF_THREE_CLASSES = [
    ('[gate]\nmetric = "rmse"', "does not exist for a classification"),
    ('[gate]\nmetric = "roc_auc"', "needs exactly two classes"),
    (hyperparameters('objective = "reg:squarederror"'), "classes need probabilities"),
    (hyperparameters('objective = "binary:logistic"'), "is for two, and there are 3"),
    (hyperparameters("num_class = 7"), "the label has 3 classes"),
    (hyperparameters('eval_metric = "rmse"'), "does not compute it"),
    (hyperparameters('eval_metric = "auc"'), "does not compute it"),
    ('[tuning]\nmax_jobs = 4\nmetric = "nonsense"', "cannot be tuned"),
    ('[tuning]\nmax_jobs = 4\nmetric = "rmse"', "cannot be tuned"),
]
OF_TWO_CLASSES = [
    (hyperparameters('objective = "binary:hinge"'), "classes need probabilities"),
    (hyperparameters('eval_metric = "accuracy"'), "wrongly for binary:logistic"),
    (hyperparameters('eval_metric = "mlogloss"'), "does not compute it"),
    (hyperparameters("num_class = 7"), "takes no number of classes"),
    ('[tuning]\nmax_jobs = 4\nmetric = "accuracy"', "the same value in every round"),
]
OF_NUMBERS = [
    ('[gate]\nmetric = "accuracy"', "does not exist for a regression"),
    (hyperparameters('objective = "multi:softprob"'), "the label is a number"),
    (hyperparameters("num_class = 3"), "takes no number of classes"),
    (hyperparameters('eval_metric = "merror"'), "does not compute it"),
]


@pytest.mark.parametrize("command", ["check", "put"])
@pytest.mark.parametrize(
    ("table", "text", "says"),
    [
        (table, *case)
        for table, cases in (
            ("three", OF_THREE_CLASSES),
            ("two", OF_TWO_CLASSES),
            ("numbers", OF_NUMBERS),
        )
        for case in cases
    ],
)
def test_settings_that_do_not_fit_the_label_are_refused(
    refit, stack, toml, request, command, table, text, says
):
    arguments = [request.getfixturevalue(table), "--settings", toml(text)]
    result = refit(command, *(["digits"] if command == "put" else []), *arguments)
    assert result.exit_code == 2, result.output
    assert says in " ".join(result.stderr.split())
    assert stack.keys() == []


def test_settings_in_the_bucket_are_checked_as_given_ones_are(refit, stack, two):
    stack.put("digits/model.toml", hyperparameters("num_class = 7"))
    result = refit("put", "digits", two)
    assert result.exit_code == 2
    assert "num_class = 7" in result.stderr
    assert stack.keys() == ["digits/model.toml"]


def test_what_is_fixed_and_searched_is_refused_without_data(refit, stack, toml):
    text = (
        "[training]\nhyperparameters = { learning_rate = 0.1 }\n"
        "[tuning]\nmax_jobs = 4\n[tuning.ranges]\neta = [0.1, 0.3]\n"
    )
    result = refit("put", "digits", "--settings", toml(text))
    assert result.exit_code == 2
    assert "[tuning.ranges] eta" in result.stderr
    assert stack.keys() == []


def own_image(name: str) -> str:
    return f"[training]\nimage = '123456789012.dkr.ecr.us-east-1.amazonaws.com/{name}:1'\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[training]\ncontinue_from = 99\n", "digits has no version 99"),
        ("[data]\nfeatures_from = 'nosuch'\n", "no version of 'nosuch' is live"),
        ("[data]\nfeatures_from = 'digits'\n", ONE_OF_ITSELF),
        ("[data]\nfeatures_from = 'segments@4'\n", "there is no version 4 of 'segments'"),
        ("[training]\nscript = 'train.py'\n", "AllowedScripts is 'no'"),
        (own_image("other"), "is not allowed to run"),
    ],
)
@pytest.mark.parametrize("with_data", [True, False])
def test_what_the_stack_does_not_have_or_allow_is_refused(
    refit, stack, toml, three, text, says, with_data
):
    data = [three] if with_data else []
    result = refit("put", "digits", *data, "--settings", toml(text))
    assert result.exit_code == 2, result.output
    assert says in " ".join(result.stderr.split())
    assert stack.keys() == []


@pytest.fixture
def scripts_allowed(stack, clients):
    clients["cloudformation"].parameters["AllowedScripts"] = "yes"


SCRIPT = "[training]\nscript = 'train.py'\n"


@pytest.mark.usefixtures("scripts_allowed")
def test_a_script_needs_its_file_in_the_folder_or_in_the_same_command(
    refit, stack, toml, three, tmp_path
):
    refused = refit("put", "digits", three, "--settings", toml(SCRIPT))
    assert refused.exit_code == 2
    assert "no such file in digits/code/, which is empty" in " ".join(refused.stderr.split())
    assert "refit put digits --code train.py" in " ".join(refused.stderr.split())
    assert stack.keys() == []
    (tmp_path / "train.py").write_text("print()\n")
    given = refit(
        "put", "digits", three, "--settings", toml(SCRIPT), "--code", tmp_path / "train.py"
    )
    assert given.exit_code == 0, given.output
    assert stack.keys() == ["digits/code/train.py", "digits/model.toml", "digits/raw/three.csv"]


def test_an_image_of_an_allowed_repository_is_uploaded(refit, stack, clients, toml, three):
    arn = "arn:aws:ecr:us-east-1:123456789012:repository/mine"
    clients["cloudformation"].parameters["AllowedImages"] = arn
    assert refit("put", "digits", three, "--settings", toml(own_image("mine"))).exit_code == 0


def test_a_parameter_that_the_stack_does_not_show_is_said_to_be_unchecked(
    refit, stack, clients, toml
):
    clients["cloudformation"].parameters.clear()
    stack.put("digits/code/train.py", "print()")
    result = refit("put", "digits", "--settings", toml(SCRIPT))
    assert result.exit_code == 0
    assert "the run checks it" in " ".join(result.stderr.split())


def test_what_the_credentials_may_not_read_is_said_to_be_unchecked(refit, stack, toml, monkeypatch):
    def denied(*_):
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetItem")

    monkeypatch.setattr("refit_cli.stack_checks.earlier_run", denied)
    result = refit("put", "digits", "--settings", toml("[training]\ncontinue_from = 99\n"))
    assert result.exit_code == 0
    assert "lack a permission (GetItem); the run checks it" in " ".join(result.stderr.split())


def make_live(stack, model, features, classes, champion=CHAMPION, **schema):
    """Make a version live whose rows have these features."""
    run = champion.run
    stored = Schema(
        task="classification", label="label", features=features, classes=classes, **schema
    )
    stack.put(f"{model}/runs/{run}/schema.json", stored.model_dump_json())
    stack.put(f"{model}/runs/{run}/manifest.json", manifest(run, model=model))
    stack.add_run(model, run, "DEPLOYED", version=1, package_arn=champion.package_arn)
    stack.put_item(model, "VERSION#0000000001", {"run": run})
    stack.set_state(model, champion)


@pytest.mark.parametrize("wanted", ["'champion'", "1"])
def test_a_version_with_other_columns_is_not_continued(refit, stack, toml, three, wanted):
    make_live(stack, "digits", (*LONG_WIDE, Feature(name="deep", type="number")), KINDS)
    before = stack.keys()
    text = f"[data]\nschema_change = 'accept'\n[training]\ncontinue_from = {wanted}\n"
    result = refit("put", "digits", three, "--settings", toml(text))
    assert result.exit_code == 2, result.output
    assert "the columns differ from those of version 1" in " ".join(result.stderr.split())
    assert stack.keys() == before


def test_a_version_with_the_same_columns_is_continued(refit, stack, toml, three):
    make_live(stack, "digits", LONG_WIDE, KINDS, label_type="category")
    text = "[training]\ncontinue_from = 'champion'\n"
    result = refit("put", "digits", three, "--settings", toml(text))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("features", "says"),
    [
        ((Feature(name="deep", type="number"),), "these files have no such column"),
        ((Feature(name="label", type="number"),), "which is the label here"),
    ],
)
def test_rows_that_the_other_model_cannot_read_are_refused(
    refit, stack, toml, three, features, says
):
    make_live(stack, "segments", features, ("low", "high"))
    result = refit("put", "digits", three, "--settings", toml("[data]\nfeatures_from='segments'\n"))
    assert result.exit_code == 2, result.output
    assert says in " ".join(result.stderr.split())


def test_a_chain_of_models_is_refused(refit, stack, toml, three):
    source = {"model": "first", "version": 1, "run": "r1", "columns": 1}
    features = (*LONG_WIDE, Feature(name="first_prediction", type="number"))
    make_live(stack, "segments", features, ("low", "high"), features_from=source)
    result = refit("put", "digits", three, "--settings", toml("[data]\nfeatures_from='segments'\n"))
    assert result.exit_code == 2, result.output
    assert "chains of models are not supported" in " ".join(result.stderr.split())


def test_rows_that_the_other_model_can_read_are_uploaded(refit, stack, toml, three):
    make_live(stack, "segments", LONG_WIDE[:1], ("low", "high"))
    result = refit("put", "digits", three, "--settings", toml("[data]\nfeatures_from='segments'\n"))
    assert result.exit_code == 0, result.output


def test_check_says_what_only_put_can_check(refit, three, toml):
    result = refit("check", three, "--settings", toml(SCRIPT))
    assert result.exit_code == 0, result.output
    assert "`refit put` checks it" in " ".join(result.stdout.split())
