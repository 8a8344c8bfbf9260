"""An endpoint that captures by itself, for callers that do not come through the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.conftest import Digits
    from tests.e2e.driver import User

MODEL = "orders"
SETTINGS = """
[monitoring]
capture = "endpoint"
cohort_s = 600
label_age_s = 0
"""


def test_what_callers_ask_the_endpoint_is_captured_once_and_joined_by_their_own_ids(
    user: User, digits: Digits
) -> None:
    user.drop(MODEL, {"a.csv": digits.csv(slice(0, 300))}, SETTINGS)
    assert user.ended_run(MODEL)["status"] == "DEPLOYED"
    runtime = user.client("sagemaker-runtime")

    def ask(order: str, rows: slice) -> list[str]:
        body = "\n".join(",".join(map(str, row)) for row in digits.rows(rows))
        answer = runtime.invoke_endpoint(
            EndpointName=f"refit-{MODEL}", Body=body, ContentType="text/csv", InferenceId=order
        )
        lines = answer["Body"].read().decode().split()
        scores = [[float(cell) for cell in line.split(",")] for line in lines]
        return [str(row.index(max(row))) for row in scores]

    said = ask("order-1", slice(1500, 1502)) + ask("order-2", slice(1502, 1503))
    by_api = user.predict(MODEL, digits.rows(slice(1503, 1508))).json()["predictions"]
    ids = ["order-1-0", "order-1-1", "order-2", *(row["inferenceId"] for row in by_api)]
    said += [row["prediction"] for row in by_api]
    truth = digits.texts(slice(1500, 1508))
    user.label(
        MODEL,
        [{"inferenceId": name, "label": label} for name, label in zip(ids, truth, strict=True)],
    )
    errors = sum(a != b for a, b in zip(said, truth, strict=True))
    wanted = {"predictions": 8, "labelled": 8, "errors": errors}
    user.wait_until_counted(MODEL, 1, wanted)
