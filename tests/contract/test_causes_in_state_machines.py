"""The state machines repeat what can pass and nothing else: their expressions on causes of AWS."""

from __future__ import annotations

import json
from typing import Any

import jsonata
import pytest

from tests.support.template import DEFINITIONS, states_of

THROTTLED_JOB = (
    "Rate exceeded (Service: AmazonSageMaker; Status Code: 400; Error Code: ThrottlingException; "
    "Request ID: 1; Proxy: null)"
)
REFUSED_JOB = (
    "1 validation error detected: Value 'x' at 'roleArn' failed (Service: AmazonSageMaker; Status "
    "Code: 400; Error Code: ValidationException; Request ID: 5005; Proxy: null)"
)
THROTTLED_CALL = "Rate exceeded (Service: SageMaker, Status Code: 400, Request ID: 5005)"
BROKEN_CALL = "internal (Service: SageMaker, Status Code: 500, Request ID: 1)"
REFUSED_CALL = "1 validation error detected (Service: SageMaker, Status Code: 400, Request ID: 503)"
EXISTING = (
    'Cannot create already existing model "arn:m" (Service: SageMaker, Status Code: 400, Request '
    "ID: 1)"
)
JOB_CHOICES = {
    "CanTrainingPass": ("attempt", "error", "WaitToTrainAgain", "FailRun"),
    "CanChallengerPass": (
        "challenger_attempt",
        "challenger_error",
        "WaitForChallenger",
        "ChallengerFailed",
    ),
    "CanChampionPass": ("champion_attempt", "champion_error", "WaitForChampion", "ChampionFailed"),
    "CanTransformPass": ("attempt", "error", "WaitToTransformAgain", "FailBatch"),
    "CanFeaturesPass": ("attempt", "error", "WaitForFeatures", "DeleteUnusedFeaturesModel"),
}
FOLD_STEPS = ("TrainFold", "CreateFoldModel", "PredictFold")
TRAIN = states_of(DEFINITIONS["train.asl.json"])
DEPLOY = states_of(DEFINITIONS["deploy.asl.json"])
BATCH = states_of(DEFINITIONS["batch.asl.json"])


def evaluated(expression: str, **variables: Any) -> Any:
    text = expression.removeprefix("{%").removesuffix("%}").replace("${PollSeconds}", "20")
    return jsonata.Jsonata.jsonata(text).evaluate(None, variables)


def next_of(choice: dict[str, Any], **variables: Any) -> str:
    for rule in choice["Choices"]:
        if evaluated(rule["Condition"], **variables):
            return str(rule["Next"])
    return str(choice["Default"])


def failed_job(reason: str) -> dict[str, str]:
    """Return the error output of a failed job; the cause is its description, as AWS writes it."""
    description = {"TrainingJobName": "j", "FailureReason": reason, "TrainingJobStatus": "Failed"}
    cause = json.dumps(description, separators=(",", ":"))
    return {"Error": "States.TaskFailed", "Cause": cause}


@pytest.mark.parametrize("name", JOB_CHOICES)
@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (failed_job("CapacityError: Unable to provision requested ML compute capacity."), True),
        (failed_job("InternalServerError: We encountered an internal error."), True),
        (failed_job("AlgorithmError: Rate exceeded, Status Code: 500, exit code: 1"), False),
        (failed_job("ClientError: the data has a CapacityError"), False),
        ({"Error": "SageMaker.AmazonSageMakerException", "Cause": THROTTLED_JOB}, True),
        ({"Error": "SageMaker.AmazonSageMakerException", "Cause": REFUSED_JOB}, False),
    ],
)
def test_a_job_is_started_again_only_if_its_failure_can_pass(
    name: str, error: dict[str, str], passes: bool
) -> None:
    attempt, caught, again, failed = JOB_CHOICES[name]
    choice = (TRAIN | BATCH)[name]
    assert next_of(choice, **{attempt: 0, caught: error}) == (again if passes else failed)
    assert next_of(choice, **{attempt: 5, caught: error}) == failed, "a bounded number of times"


def test_a_tuning_job_that_failed_for_good_is_recorded_before_the_run_fails() -> None:
    def step(reason: str, error: str = "States.TaskFailed") -> str:
        cause = json.dumps({"HyperParameterTuningJobName": "t", "FailureReason": reason})
        variables = {"attempt": 0, "waits": 0, "job": {"tuning": {"stem": "s"}}}
        return next_of(
            TRAIN["CanTrainingPass"], error={"Error": error, "Cause": cause}, **variables
        )

    assert step("No training job succeeded after 5 attempts.") == "RecordTuning"
    assert step("InternalServerError: We encountered an internal error.") == "WaitToTrainAgain"
    assert step("refused", "SageMaker.AmazonSageMakerException") == "FailRun"


def test_a_run_tunes_exactly_if_its_plan_says_so() -> None:
    untuned = {"stem": "s", "request": {}}
    assert next_of(TRAIN["IsTuned"], job=untuned) == "IsTrainedOnAllRows"
    assert next_of(TRAIN["IsTuned"], job={"tuning": {"stem": "s"}}) == "Tune"
    assert TRAIN["RecordTuning"]["Next"] == TRAIN["Train"]["Next"] == "HasFolds"
    for wait in ("WaitForTrainingQuota", "WaitToTrainAgain"):
        assert TRAIN[wait]["Next"] == "IsTuned"


def limit_of(value: int, in_use: int, requested: int) -> dict[str, str]:
    """Return the error output of a job or endpoint that a quota refuses."""
    cause = (
        f"The account-level service limit 'ml.m5.large for endpoint usage' is {value} Instances, "
        f"with current utilization of {in_use} Instances and a request delta of {requested} "
        "Instances. Please use AWS Service Quotas to request an increase for this quota. (Service: "
        "AmazonSageMaker; Status Code: 400; Error Code: ResourceLimitExceeded; Request ID: 5005; "
        "Proxy: null)"
    )
    return {"Error": "SageMaker.ResourceLimitExceededException", "Cause": cause}


def test_a_batch_waits_for_a_quota_that_others_use_up_and_fails_on_one_that_is_too_small() -> None:
    choice, others = BATCH["CanTransformPass"], {"attempt": 0, "repeats": 0}
    in_use, too_small = limit_of(2, 2, 1), limit_of(0, 0, 1)
    assert next_of(choice, waits=0, error=in_use, **others) == "WaitForTransformQuota"
    assert next_of(choice, waits=49, error=in_use, **others) == "WaitForTransformQuota"
    assert next_of(choice, waits=50, error=in_use, **others) == "FailBatch"
    assert next_of(choice, waits=0, error=too_small, **others) == "FailBatch"


QUOTA_CHOICES = {
    ("train", "CanTrainingPass"): (
        ("waits", "error"),
        ("ReportTrainingWait", "WaitForTrainingQuota", "FailRun"),
    ),
    ("train", "CanChallengerPass"): (
        ("challenger_waits", "challenger_error"),
        ("ReportChallengerWait", "WaitForChallengerQuota", "ChallengerFailed"),
    ),
    ("train", "CanChampionPass"): (
        ("champion_waits", "champion_error"),
        ("ReportChampionWait", "WaitForChampionQuota", "ChampionFailed"),
    ),
    ("train", "CanFeaturesPass"): (
        ("waits", "error"),
        ("ReportFeaturesWait", "WaitForFeaturesQuota", "DeleteUnusedFeaturesModel"),
    ),
    ("deploy", "CanItPass"): (("waits", "error"), ("ReportWait", "WaitForQuota", "RollBack")),
}


@pytest.mark.parametrize("place", QUOTA_CHOICES)
def test_a_quota_that_others_use_up_is_reported_once_and_waited_for(
    place: tuple[str, str],
) -> None:
    states = {"train": TRAIN, "deploy": DEPLOY}[place[0]]
    (count, caught), (reported, wait, failed) = QUOTA_CHOICES[place]
    others = {"attempt": 0, "challenger_attempt": 0, "champion_attempt": 0, "repeats": 0}
    others["call"] = "CreateEndpoint"

    def step(waits: int, error: dict[str, str]) -> str:
        return next_of(states[place[1]], **{**others, count: waits, caught: error})

    assert [step(waits, limit_of(2, 2, 1)) for waits in (0, 1, 49)] == [reported, wait, wait]
    assert step(50, limit_of(2, 2, 1)) == failed, "not for ever"
    assert step(0, limit_of(0, 0, 1)) == failed, "no instance is granted at all"
    assert step(0, limit_of(1, 0, 2)) == failed, "more than the quota are needed"
    assert step(0, limit_of(10, 9, 2)) == reported, "numbers are compared, and not texts"
    unknown = {"Error": limit_of(0, 0, 0)["Error"], "Cause": "You have reached a limit."}
    assert step(0, unknown) == reported
    assert {states[reported]["Next"], states[reported]["Catch"][0]["Next"]} == {wait}
    waits = [evaluated(states[wait]["Seconds"], **{count: number}) for number in range(50)]
    assert waits[:7] == [100, 200, 400, 800, 1600, 1800, 1800]
    assert 23 * 3600 < sum(waits) < 24 * 3600


def test_another_model_is_asked_exactly_if_there_are_questions() -> None:
    questions = {"stem": "s", "model_request": {}, "request": {}}
    assert next_of(TRAIN["AreThereQuestions"], prepared={"rows": {}}) == "PlanTraining"
    step = next_of(TRAIN["AreThereQuestions"], prepared={"questions": questions})
    assert step == "CreateFeaturesModel"
    assert TRAIN["PrepareAnswered"]["Next"] == "PlanTraining"
    for asks, following in ((True, "PrepareAnsweredBatch"), (False, "FinishBatch")):
        plan = {"asks_another_model": asks}
        assert next_of(BATCH["WasAnotherModelAsked"], plan=plan) == following
    served = {"requests": {"model": {}, "features_model": {}}}
    assert next_of(DEPLOY["AreThereFeaturesToServe"], plan=served) == "CreateFeaturesModel"
    alone = {"requests": {"model": {}}}
    assert next_of(DEPLOY["AreThereFeaturesToServe"], plan=alone) == "CreateEndpointConfig"


def test_the_model_of_the_questions_whose_answer_was_lost_is_used() -> None:
    error = {"Error": "SageMaker.SageMakerException", "Cause": EXISTING}
    assert next_of(TRAIN["CanFeaturesModelPass"], repeats=0, error=error) == "ComputeFeatures"


@pytest.mark.parametrize("step", FOLD_STEPS)
def test_a_step_of_a_fold_is_repeated_only_if_its_failure_can_pass(step: str) -> None:
    def following(error: dict[str, str], attempt: int = 0, waits: int = 0) -> str:
        variables = {"fold_attempt": attempt, "fold_waits": waits, "fold_error": error}
        return next_of(TRAIN["CanFoldPass"], fold_step=step, **variables)

    capacity = failed_job("CapacityError: Unable to provision requested ML compute capacity.")
    assert [following(capacity, attempt) for attempt in (0, 1, 2)] == [
        "WaitForFold",
        "WaitForFold",
        "FoldFailed",
    ]
    assert following(failed_job("AlgorithmError: Status Code: 500")) == "FoldFailed"
    quota = limit_of(2, 2, 1)
    assert following(quota) == "ReportFoldWait"
    assert [following(quota, waits=waits) for waits in (1, 11)] == ["WaitForFoldQuota"] * 2
    assert following(quota, waits=12) == "FoldFailed"
    assert following(limit_of(1, 0, 2)) == "FoldFailed", "more than the quota are needed"
    assert next_of(TRAIN["WhichStepAgain"], fold_step=step) == step


def test_each_step_of_a_fold_names_itself_before_it_begins() -> None:
    assert TRAIN["BeginFold"]["Assign"]["fold_step"] == TRAIN["BeginFold"]["Next"]
    for step in FOLD_STEPS[:2]:
        assigned = TRAIN[step]["Assign"]
        assert assigned["fold_step"] == TRAIN[step]["Next"]
        assert assigned["fold_attempt"] == 0


def test_the_model_of_a_fold_whose_answer_was_lost_is_used() -> None:
    error = {"Error": "SageMaker.SageMakerException", "Cause": EXISTING}
    variables = {"fold_attempt": 0, "fold_waits": 0, "fold_error": error}
    choice = TRAIN["CanFoldPass"]
    assert next_of(choice, fold_step="CreateFoldModel", **variables) == "PredictFold"
    assert next_of(choice, fold_step="TrainFold", **variables) == "FoldFailed"


@pytest.mark.parametrize(
    ("folds", "final", "states"),
    [
        (0, "all", ["Train", "PlanEvaluation"]),
        (3, "all", ["Train", "PlanFolds", "PlanEvaluation"]),
        (3, "ensemble", ["PlanFolds", "PackEnsemble"]),
    ],
)
def test_the_model_of_all_rows_is_trained_unless_the_folds_are_the_model(
    folds: int, final: str, states: list[str]
) -> None:
    job = {"folds": folds, "final": final}
    path = [next_of(TRAIN["IsTrainedOnAllRows"], job=job)]
    if path[-1] == "Train":
        path.append(next_of(TRAIN["HasFolds"], job=job))
    if path[-1] == "PlanFolds":
        path.append(next_of(TRAIN["IsEnsemble"], job=job))
    assert path == states


def test_a_deployment_that_a_quota_has_failed_is_not_planned_again() -> None:
    def step(error: dict[str, str]) -> str:
        return next_of(DEPLOY["CanDeploymentPass"], repeat=True, attempt=0, error=error)

    assert step(limit_of(0, 0, 1)) == "FailRun"
    assert step({"Error": "EndpointNotProvisioned", "Cause": "no capacity"}) == "WaitToDeployAgain"


def test_an_update_does_not_wait_for_a_quota_that_old_and_new_instances_exceed_together() -> None:
    def step(call: str, error: dict[str, str]) -> str:
        return next_of(DEPLOY["CanItPass"], call=call, error=error, repeats=0, waits=0)

    assert step("UpdateEndpoint", limit_of(1, 1, 1)) == "RollBack", "in use by the endpoint itself"
    assert step("UpdateEndpoint", limit_of(2, 2, 1)) == "ReportWait"
    assert step("CreateEndpoint", limit_of(1, 1, 1)) == "ReportWait"


@pytest.mark.parametrize("name", JOB_CHOICES)
def test_the_waits_for_another_job_grow_to_half_an_hour(name: str) -> None:
    attempt, _, again, _ = JOB_CHOICES[name]
    waits = [
        evaluated((TRAIN | BATCH)[again]["Seconds"], **{attempt: number}) for number in range(5)
    ]
    assert waits == [100, 200, 400, 800, 1600]


@pytest.mark.parametrize(
    ("cause", "step"),
    [(THROTTLED_CALL, "WaitToRepeat"), (BROKEN_CALL, "WaitToRepeat"), (REFUSED_CALL, "RollBack")],
)
@pytest.mark.parametrize("call", ["CreateModel", "UpdateEndpoint", "DescribeEndpoint"])
def test_a_call_of_a_deployment_is_repeated_only_if_its_error_can_pass(
    call: str, cause: str, step: str
) -> None:
    error = {"Error": "SageMaker.SageMakerException", "Cause": cause}
    assert next_of(DEPLOY["CanItPass"], repeats=0, error=error, call=call) == step
    assert next_of(DEPLOY["CanItPass"], repeats=6, error=error, call=call) == "RollBack"
    wait = evaluated(DEPLOY["WaitToRepeat"]["Seconds"], repeats=3)
    assert 40 <= wait < 45
    assert wait == int(wait)


@pytest.mark.parametrize(
    ("call", "step"),
    [
        ("CreateModel", "AreThereFeaturesToServe"),
        ("CreateFeaturesModel", "CreateEndpointConfig"),
        ("CreateEndpointConfig", "IsThereAnEndpoint"),
        ("CreateEndpoint", "RollBack"),
    ],
)
def test_what_a_call_whose_answer_was_lost_has_created_is_used(call: str, step: str) -> None:
    error = {"Error": "SageMaker.SageMakerException", "Cause": EXISTING}
    assert next_of(DEPLOY["CanItPass"], repeats=0, error=error, call=call) == step


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("CreateEndpoint", 'Cannot create already existing endpoint "arn:e".'),
        ("UpdateEndpoint", 'Cannot update in-progress endpoint "arn:e".'),
    ],
)
def test_a_repeated_call_waits_for_the_endpoint_that_the_lost_call_has_begun(
    call: str, message: str
) -> None:
    cause = f"{message} (Service: SageMaker, Status Code: 400, Request ID: 1)"
    error = {"Error": "SageMaker.SageMakerException", "Cause": cause}
    assert next_of(DEPLOY["CanItPass"], repeats=0, error=error, call=call) == "RollBack"
    assert next_of(DEPLOY["CanItPass"], repeats=1, error=error, call=call) == "WaitForEndpoint"
    caught = next(c["Assign"] for c in DEPLOY[call]["Catch"] if "call" in c["Assign"])
    assert caught["began"] == DEPLOY[call]["Assign"]["began"], "the wait counts from there"


def test_an_endpoint_is_created_again_while_sagemaker_does_not_see_its_config() -> None:
    cause = (
        'Could not find endpoint configuration "arn:c". (Service: SageMaker, Status Code: 400, '
        "Request ID: 1)"
    )
    error = {"Error": "SageMaker.SageMakerException", "Cause": cause}
    choice = DEPLOY["CanItPass"]
    assert next_of(choice, repeats=0, error=error, call="CreateEndpoint") == "WaitToRepeat"
    assert next_of(choice, repeats=6, error=error, call="CreateEndpoint") == "RollBack"


@pytest.mark.parametrize(
    "call",
    ["CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint", "DescribeEndpoint"],
)
def test_after_its_wait_the_call_that_failed_is_repeated(call: str) -> None:
    assert next_of(DEPLOY["WhatIsRepeated"], call=call) == call
    caught = [c["Assign"]["call"] for c in DEPLOY[call]["Catch"] if "call" in c["Assign"]]
    assert caught == [call]


@pytest.mark.parametrize(
    ("cause", "step"),
    [
        (THROTTLED_CALL, "WaitForModel"),
        (BROKEN_CALL, "WaitForModel"),
        (EXISTING, "PredictHeldOut"),
        (REFUSED_CALL, "FailRun"),
    ],
)
def test_the_challenger_is_created_again_only_if_the_error_can_pass(cause: str, step: str) -> None:
    error = {"Error": "SageMaker.SageMakerException", "Cause": cause}
    assert next_of(TRAIN["CanModelPass"], repeats=0, error=error) == step


def states(entered: str) -> dict[str, Any]:
    return {"context": {"State": {"EnteredTime": entered}}}


def test_a_deployment_waits_for_its_endpoint_by_time_and_not_by_a_number_of_checks() -> None:
    def step(status: str, minutes: int) -> str:
        return next_of(DEPLOY["IsItInService"], status=status, minutes=minutes)

    assert step("Updating", 119) == "WaitForEndpoint"
    assert step("RollingBack", 119) == "WaitForEndpoint"
    assert step("Updating", 120) == "EndpointDidNotStart"
    assert step("Failed", 1) == "VerifyDeployment", "which tells why it failed"
    assert step("UpdateRollbackFailed", 1) == "VerifyDeployment"
    assert step("InService", 500) == "VerifyDeployment"
    began = evaluated("{% $toMillis('2026-11-20T10:00:00.000Z') %}")
    minutes = DEPLOY["DescribeEndpoint"]["Assign"]["minutes"]
    assert evaluated(minutes, began=began, states=states("2026-11-20T11:30:59.000Z")) == 90


def test_the_history_of_a_deployment_that_waits_for_two_hours_stays_short() -> None:
    # A check has 9 events (Wait 2, Task 5, Choice 2), and a history has at most 25,000.
    waited_s, checks = 0.0, 0
    text = DEPLOY["WaitForEndpoint"]["Seconds"].replace("${PollSeconds}", "1")
    while waited_s < 120 * 60:
        entered = f"2026-11-20T1{int(waited_s // 3600)}:{int(waited_s // 60 % 60):02}:00.000Z"
        began = evaluated("{% $toMillis('2026-11-20T10:00:00.000Z') %}")
        waited_s += evaluated(text, began=began, states=states(entered))
        checks += 1
    assert checks * 9 < 10_000


def test_a_deployment_is_repeated_a_bounded_number_of_times_if_aws_caused_the_failure() -> None:
    def step(*, repeat: bool, attempt: int) -> str:
        error = {"Error": "EndpointNotProvisioned", "Cause": "no capacity"}
        return next_of(DEPLOY["CanDeploymentPass"], repeat=repeat, attempt=attempt, error=error)

    assert step(repeat=True, attempt=0) == "WaitToDeployAgain"
    assert step(repeat=True, attempt=5) == "FailRun"
    assert step(repeat=False, attempt=0) == "FailRun"
    assert DEPLOY["RollBack"]["Next"] == "CanDeploymentPass"
    wait = DEPLOY["WaitToDeployAgain"]
    assert wait["Next"] == "PlanDeployment", "the newest approved version may be another one then"
    waits = [evaluated(wait["Seconds"], attempt=number) for number in range(5)]
    assert waits == [100, 200, 400, 800, 1600]


def test_a_repeated_deployment_keeps_its_count_and_the_change_that_started_it() -> None:
    assert DEPLOY["Begin"]["Assign"]["attempt"] == 0
    assert "attempt" not in DEPLOY["PlanDeployment"]["Assign"]
    payload = DEPLOY["PlanDeployment"]["Arguments"]["Payload"]
    assert "$states.input" not in str(payload), "the input after a wait is not the event"
