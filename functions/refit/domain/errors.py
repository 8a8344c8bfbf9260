"""Errors with names that a state machine, an API client and a person can act on.

RefitError
├── CallerError               what was sent is wrong; never retried
│   ├── ModelNameInvalid          a model's name breaks the rule
│   ├── ModelNotFound             no model of that name has data or a champion
│   ├── SettingsInvalid           model.toml does not parse, or a key or value is not allowed
│   ├── DatasetEmpty              no usable row in what was dropped
│   ├── DatasetInvalid            the drop cannot be read as a table, or its shape does not fit
│   │   ├── LabelUnclear              it is not clear which column is the label
│   │   └── ColumnsUnfit              the columns of rows to predict are not those of the model
│   ├── DatasetUnreadable         a file is not what its name says, or is damaged or unsafe
│   ├── DropTooLarge              the files of a drop are more than a run can prepare
│   ├── DatasetNotFound           a file of the drop is gone before it could be read
│   ├── ObjectNotFound            an object that is needed is not in the bucket (any more)
│   ├── TooManyBadRows            more rows were refused than `[data] max_bad_fraction` allows
│   ├── SchemaChanged             the columns differ from those of the live model
│   ├── PayloadInvalid            a prediction request has the wrong form, width or values
│   ├── PayloadTooLarge           a request or one row of it is larger than the services carry
│   ├── ParameterInvalid          a parameter of a request has a value that is not allowed
│   ├── RunNotFound               the model has no such run
│   ├── VersionNotFound           the model has no such version
│   └── ActionRefused             the state of the model does not allow what a user requests
│       ├── NothingToRetrain          no version is live
│       ├── NotBlocked                nothing is to be freed, and retraining is not blocked
│       ├── NothingToRetry            no run, or not this one, can be repeated
│       ├── RunActive                 a run is active, so no other one can start
│       ├── AlreadyApproved           the version is approved
│       ├── AlreadyRejected           the version is rejected
│       ├── VersionNotApproved        the version is not approved
│       ├── AlreadyLive               the version is live
│       ├── NotOlderThanLive          the version is newer than the live one
│       ├── DeploymentActive          a version is being deployed
│       └── ModelBeingRemoved         the model is being removed
├── TransientError            may pass by itself; retried by the state machine or the queue
│   ├── ServiceThrottled          AWS asked to slow down, or answered 5xx
│   ├── DeploymentInProgress      another deployment of the model holds the lock
│   ├── RegistryLags              the model registry does not show a version yet that it approved
│   ├── EndpointNotReady          the endpoint is not in service (yet)
│   ├── EndpointNotProvisioned    AWS could not provide an endpoint, for reasons of its own
│   └── VersionNotRegistered      a version answered that no run has registered (yet)
└── OutcomeError              the work was done and its result is refused
    ├── EvaluationIncomplete      the predictions do not match the held-out rows one to one
    ├── EnsembleNotPacked         the model of a fold is missing or cannot be read
    ├── ModelNotSaved             the training job ended well and saved no model
    ├── TuningFailed              a tuning job was stopped, or has no trial with a model
    ├── VersionNumberUsed         the registry gave a version a number that another run has
    ├── DeploymentRejected        the live endpoint is not, or does not answer like, the new model
    ├── EndpointDidNotStart       the endpoint failed because of the new model
    └── AnswerMalformed           an endpoint's answer does not fit the rows it was asked

A class's name is public: the state machines match on it. Defects (TypeError, KeyError, …) are not
caught anywhere; they fail the run with their own name.
"""

from __future__ import annotations


class RefitError(Exception):
    """Base of every error Refit raises on purpose. Its text is written for a person.

    Attributes:
        reason: what is wrong.
        advice: what the person can do about it; None if the reason says it or nothing can be done.
            The text of the error is the reason, followed by the advice.
    """

    def __init__(self, reason: str = "", *, advice: str | None = None) -> None:
        super().__init__(reason if advice is None else f"{reason}. {advice}")
        self.reason = reason
        self.advice = advice


class CallerError(RefitError):
    """What was sent is wrong. Retrying the same input cannot help."""


class TransientError(RefitError):
    """May pass by itself; the same input can succeed later."""


class OutcomeError(RefitError):
    """The work was done, and its result must not be used."""


class ModelNameInvalid(CallerError):
    """When a model's name is not `[a-z][a-z0-9-]{0,23}`."""


class ModelNotFound(CallerError):
    """When a model has no data, or no champion that could answer."""


class SettingsInvalid(CallerError):
    """When `model.toml` does not parse, has an unknown key, or a value that is not allowed."""


class DatasetEmpty(CallerError):
    """When a drop holds no usable row."""


class DatasetInvalid(CallerError):
    """When a drop reads as a table that cannot be trained on (one column, no label, no class)."""


class LabelUnclear(DatasetInvalid):
    """When no column, or more than one, can be the label, or the chosen one does not exist."""


class ColumnsUnfit(DatasetInvalid):
    """When a file of rows to predict lacks columns of the live model, or has others."""


class DatasetUnreadable(CallerError):
    """When a file is damaged, unsafe, or not what its name says."""


class DropTooLarge(CallerError):
    """When the files of a drop are too many, or too large together, to be prepared."""


class DatasetNotFound(CallerError):
    """When a file of the drop was deleted before it was read."""


class ObjectNotFound(CallerError):
    """When an object, or the requested version of it, is not in the bucket."""


class TooManyBadRows(CallerError):
    """When more rows are refused than `[data] max_bad_fraction` allows."""


class SchemaChanged(CallerError):
    """When the columns of a drop differ from those of the live model."""


class PayloadInvalid(CallerError):
    """When a prediction request has the wrong form, width, type or values."""


class PayloadTooLarge(CallerError):
    """When a request is larger than API Gateway, Lambda or SageMaker carry."""


class ParameterInvalid(CallerError):
    """When a path or query parameter of a request is unknown or has a value that is not allowed."""


class RunNotFound(CallerError):
    """When a model has no such run."""


class VersionNotFound(CallerError):
    """When a model has no such version."""


class ActionRefused(CallerError):
    """When the state of a model does not allow what a user requests."""


class NothingToRetrain(ActionRefused):
    """When a retraining is requested and no version is live."""


class NotBlocked(ActionRefused):
    """When a model is to be unblocked whose retraining is not blocked."""


class NothingToRetry(ActionRefused):
    """When no run of a model, or not the requested one, can be repeated."""


class RunActive(ActionRefused):
    """When a run is to be repeated while another one is active."""


class AlreadyApproved(ActionRefused):
    """When a version is to be approved that is approved."""


class AlreadyRejected(ActionRefused):
    """When a version is to be rejected that is rejected."""


class VersionNotApproved(ActionRefused):
    """When a model is to be rolled back to a version that is not approved."""


class AlreadyLive(ActionRefused):
    """When a model is to be rolled back to its live version."""


class NotOlderThanLive(ActionRefused):
    """When a model is to be rolled back to a version that is newer than the live one."""


class DeploymentActive(ActionRefused):
    """When a model is to be rolled back while a version is being deployed."""


class ModelBeingRemoved(ActionRefused):
    """When an action is requested for a model that is being removed."""


class ServiceThrottled(TransientError):
    """When an AWS service throttles or answers 5xx."""


class DeploymentInProgress(TransientError):
    """When another deployment of the same model is under way."""


class RegistryLags(TransientError):
    """When the model registry does not show yet what its own event says."""


class EndpointNotReady(TransientError):
    """When the endpoint exists and is not in service yet."""


class EndpointNotProvisioned(TransientError):
    """When an endpoint was not created or updated for lack of capacity or by a fault of AWS."""


class VersionNotRegistered(TransientError):
    """When a version answered, and no run has registered it yet."""


class EvaluationIncomplete(OutcomeError):
    """When batch predictions and held-out rows do not match one to one."""


class EnsembleNotPacked(OutcomeError):
    """When the model.tar.gz of a fold is missing, damaged or holds no model."""


class ModelNotSaved(OutcomeError):
    """When a training job ended well and its model.tar.gz is missing, or holds no file."""


class TuningFailed(OutcomeError):
    """When a tuning job failed or was stopped, or none of its trials has a model."""


class VersionNumberUsed(OutcomeError):
    """When the model registry gives a version a number that another run of the model has."""


class DeploymentRejected(OutcomeError):
    """When the live endpoint is not the requested one, or answers differently."""


class EndpointDidNotStart(OutcomeError):
    """When an endpoint failed to start the new model."""


class AnswerMalformed(OutcomeError):
    """When an endpoint's answer does not fit the rows it was asked, or the model's classes."""
