"""An endpoint with data capture, for callers that invoke it directly."""

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


def test_direct_invocations_are_captured_once_and_joined_to_labels_by_their_inference_ids(
    user: User, digits: Digits
) -> None:
    user.drop(MODEL, {"a.csv": digits.csv(slice(0, 300))}, SETTINGS)
    assert user.wait_for_end(MODEL)["status"] == "DEPLOYED"
    runtime = user.client("sagemaker-runtime")

    def invoke(inference_id: str, rows: slice) -> list[str]:
        body = "\n".join(",".join(map(str, row)) for row in digits.rows(rows))
        response = runtime.invoke_endpoint(
            EndpointName=f"refit-{MODEL}",
            Body=body,
            ContentType="text/csv",
            InferenceId=inference_id,
        )
        lines = response["Body"].read().decode().split()
        scores = [[float(cell) for cell in line.split(",")] for line in lines]
        return [str(row.index(max(row))) for row in scores]

    predictions = invoke("order-1", slice(1500, 1502)) + invoke("order-2", slice(1502, 1503))
    api_rows = user.predict(MODEL, digits.rows(slice(1503, 1508))).json()["predictions"]
    ids = ["order-1-0", "order-1-1", "order-2", *(row["inferenceId"] for row in api_rows)]
    predictions += [row["prediction"] for row in api_rows]
    truth = digits.texts(slice(1500, 1508))
    user.label(
        MODEL,
        [{"inferenceId": name, "label": label} for name, label in zip(ids, truth, strict=True)],
    )
    errors = sum(a != b for a, b in zip(predictions, truth, strict=True))
    expected = {"predictions": 8, "labelled": 8, "errors": errors}
    user.wait_until_counted(MODEL, 1, expected)
