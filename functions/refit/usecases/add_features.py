"""Ask the model that `[data] features_from` names about the rows of a prediction request.

The endpoint serves its pinned version beside the model's own, as a production variant without
traffic, which the request names.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from refit.domain.errors import AnswerMalformed, EndpointNotReady, PayloadInvalid
from refit.domain.inferences import payload
from refit.domain.inferences.feature_inputs import added_cells
from refit.domain.naming import ResourceNames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.naming import RunKeys
    from refit.usecases.services import Services


def with_features(
    services: Services,
    endpoint: str,
    keys: RunKeys,
    lines: Sequence[str],
    endpoint_bytes: int,
) -> list[str]:
    """Return the lines with the columns that the pinned version adds.

    Args:
        services: the AWS services and the clock of this process.
        endpoint: of the model that is predicted with.
        keys: of the run that made its version, which has pinned a version of another model.
        lines: encoded rows as CSV.
        endpoint_bytes: largest request to the endpoint; more rows are sent in several requests.

    Raises:
        EndpointNotReady: when the endpoint does not serve the version (yet, or any more).
        PayloadTooLarge: when a single row is larger than an endpoint request.
        AnswerMalformed: when an answer does not match the rows.
        TransientError: when the endpoint or a service is not ready.
    """
    source = services.artifacts.schema(keys.model, keys.run).features_from
    assert source is not None, "the caller has looked"
    inputs = services.artifacts.feature_inputs(keys.model, keys.run)
    asked = services.artifacts.schema(source.model, source.run)
    variant = ResourceNames.features_variant(source.model, source.version)
    questions = [inputs.line(line.encode("ascii")).decode("ascii") for line in lines]
    cells: list[str] = []
    for rows, body in payload.endpoint_bodies(questions, endpoint_bytes):
        try:
            answer = services.endpoints.invoke(endpoint, body, uuid.uuid4().hex, variant)
        except PayloadInvalid as error:
            raise EndpointNotReady(f"the model is being replaced: {error}") from error
        answers = [line for line in answer.body.splitlines() if line.strip()]
        if len(answers) != rows:
            raise AnswerMalformed(f"{source.text} returned {len(answers)} answers for {rows} rows")
        cells += [
            added_cells(
                payload.answer_values(line.decode(errors="replace").split(","), asked)
            ).decode("ascii")
            for line in answers
        ]
    added = [line + more for line, more in zip(lines, cells, strict=True)]
    payload.check_lines_fit(added, endpoint_bytes)
    return added
