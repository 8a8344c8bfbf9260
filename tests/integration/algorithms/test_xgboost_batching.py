"""Requests that are predicted together get the responses that each would get alone."""

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refit_local.algorithms.xgboost.serving import fast_csv
from refit_local.algorithms.xgboost.serving.batching import Batcher
from refit_local.algorithms.xgboost.serving.scoring import PredictionRequest, Scorer, ServerResponse
from refit_local.algorithms.xgboost.serving.settings import ServeSettings
from refit_local.algorithms.xgboost.xgboost_library import xgb
from xgboost_container import FIXTURES, serving

ODD_CELLS = (
    *("", "-0", "-0.0", "+3", ".5", "5.", "nan", "NaN", "-", "+", ".", "1e", "1-2", "--1", "1.2.3"),
    *("1e5", "1E-3", "00012", "inf", "0x1", "1_0", " 1", "x", "9007199254740993", "16777217"),
)

CELLS = st.one_of(
    st.integers(-300, 300).map(str),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False).map(repr),
    st.decimals(-1000, 1000, places=4).map(str),
    st.sampled_from(ODD_CELLS),
)

LINES = st.integers(1, 5).flatmap(
    lambda columns: st.lists(
        st.lists(CELLS, min_size=columns, max_size=columns).map(",".join), min_size=1, max_size=4
    )
)

BODIES = LINES.map(lambda lines: "\n".join(lines).strip().encode()).filter(bool)


def exactly(body: bytes) -> np.ndarray:
    cells = [[cell or "nan" for cell in line.split(",")] for line in body.decode().split("\n")]
    with np.errstate(over="ignore"):
        return np.array(cells).astype(np.float64).astype(np.float32)


@given(bodies=st.lists(BODIES, min_size=1, max_size=3))
@settings(max_examples=400, deadline=None)
def test_fast_csv_reading_returns_exactly_the_floats_of_the_slow_reading(bodies):
    rows = fast_csv.read(bodies)
    if rows is not None:
        expected = np.vstack([exactly(body) for body in bodies])
        assert rows.shape == expected.shape
        assert np.array_equal(rows, expected, equal_nan=True)
        assert np.array_equal(np.signbit(rows), np.signbit(expected)) or np.isnan(rows).any()


@given(row=st.lists(st.integers(-(2**53) + 1, 2**53 - 1), min_size=2, max_size=9))
def test_integers_are_always_read_by_the_fast_reader(row):
    body = ",".join(map(str, row)).encode()
    assert np.array_equal(fast_csv.read([body]), exactly(body))


@pytest.fixture(params=["one model of classes", "nine folds of a score"])
def model(request, tmp_path):
    generator = np.random.default_rng(5)
    rows = generator.normal(size=(300, 6))
    if request.param == "one model of classes":
        folds, objective, labels = 1, {"objective": "multi:softprob", "num_class": 3}, 3
    else:
        # NumPy adds nine numbers in another order if they are a single column.
        folds, objective, labels = 9, {"objective": "binary:logistic"}, 2
    matrix = xgb.DMatrix(rows, label=generator.integers(0, labels, 300))
    folder = tmp_path / "model"
    folder.mkdir()
    for fold in range(folds):
        parameters = {**objective, "seed": fold, "subsample": 0.5}
        booster = xgb.train(parameters, matrix, num_boost_round=8)
        booster.save_model(folder / f"xgboost-model-{fold}.ubj")
    return folder


def mixed_requests(count: int) -> list[tuple[str, str, str | None]]:
    """Numeric and blank cells, too few and too many columns, several rows, other content types."""
    dice = random.Random(11)

    def row(columns: int) -> str:
        kinds = (
            lambda: str(dice.randint(-5, 5)),
            lambda: f"{dice.uniform(-3, 3):.5f}",
            lambda: repr(dice.gauss(0, 1)),
            lambda: "",
        )
        return ",".join(dice.choices(kinds, (4, 4, 4, 1))[0]() or "" for _ in range(columns))

    requests = []
    for _ in range(count):
        match dice.randrange(12):
            case 0:
                requests.append((row(4), "text/csv", None))
            case 1:
                requests.append((row(7), "text/csv", None))
            case 2:
                requests.append((row(6).replace(",", ";"), "text/csv", None))
            case 3:
                requests.append(("1,2,x,4,5,6", "text/csv", None))
            case 4:
                requests.append(("0:1 2:3.5", "text/libsvm", None))
            case 5:
                requests.append((row(6), "text/csv", "application/json"))
            case 6:
                requests.append((row(6), "text/csv", "image/png"))
            case 7:
                rows = [row(6) for _ in range(dice.randint(2, 40))]
                requests.append(("\n".join(rows) + "\n", "text/csv; charset=utf-8", None))
            case 8:
                requests.append((f"{row(6)}\n{row(5)}", "text/csv", None))
            case _:
                requests.append((row(6), "text/csv", None))
    return requests


def test_each_request_of_a_batch_gets_the_response_that_it_gets_alone(model):
    scorer = Scorer(ServeSettings.from_environment({"SAGEMAKER_BASE_DIR": str(model.parent)}))
    requests = [
        PredictionRequest(body.encode(), content_type, accept)
        for body, content_type, accept in mixed_requests(400)
    ]
    alone = [scorer.respond([request])[0] for request in requests]
    dice = random.Random(2)
    start = 0
    while start < len(requests):
        end = start + dice.choice((2, 3, 8, 64))
        together = scorer.respond(requests[start:end])
        for request, single, batched in zip(
            requests[start:end], alone[start:end], together, strict=True
        ):
            assert without_addresses(batched) == without_addresses(single), request
        start = end
    assert {response.status for response in alone} == {200, 400, 406, 415}


def without_addresses(response: ServerResponse) -> tuple[int, str, bytes | None]:
    body = response.body
    if response.status == 400 and body is not None:
        # XGBoost's message contains the time of day and memory addresses.
        body = body.partition(b"Stack trace")[0].partition(b"]")[2]
    return response.status, response.content_type, body


def test_concurrent_requests_get_the_responses_of_sequential_requests(model):
    requests = mixed_requests(300)
    with serving(model) as client:
        sequential = [client.send(*request) for request in requests]
        with ThreadPoolExecutor(24) as pool:
            concurrent = list(pool.map(lambda request: client.send(*request), requests))
    for one, other in zip(sequential, concurrent, strict=True):
        assert (one.status, one.content_type) == (other.status, other.content_type)
        if one.status != 400:
            assert one.body == other.body


def test_requests_that_arrive_together_are_predicted_in_one_batch():
    sizes = []

    def respond(requests):
        sizes.append(len(requests))
        return [ServerResponse(200, body=request.body) for request in requests]

    async def run():
        batcher = Batcher(respond)
        responses = []
        for number in range(50):
            batcher.submit(PredictionRequest(b"%d" % number, None, None), responses.append)
        while len(responses) < 50:
            await asyncio.sleep(0)
        batcher.close()
        return [response.body for response in responses]

    assert asyncio.run(run()) == [b"%d" % number for number in range(50)]
    assert sizes == [50]


def test_an_unexpected_error_fails_only_the_requests_of_its_batch():
    def respond(requests):
        if requests[0].body == b"bad":
            raise RuntimeError("a defect of the server")
        return [ServerResponse(200)] * len(requests)

    async def run():
        batcher = Batcher(respond)
        statuses = []
        for body in (b"bad", b"good"):
            done = asyncio.Event()
            batcher.submit(
                PredictionRequest(body, None, None),
                lambda given, done=done: (statuses.append(given.status), done.set()),
            )
            await done.wait()
        batcher.close()
        return statuses

    assert asyncio.run(run()) == [500, 200]


def test_a_large_batch_does_not_block_the_event_loop():
    loop_has_run = threading.Event()

    def respond(requests):
        assert loop_has_run.wait(5)
        return [ServerResponse(200)] * len(requests)

    async def run():
        batcher = Batcher(respond)
        done = asyncio.get_running_loop().create_future()
        batcher.submit(PredictionRequest(b"1" * 2**20, None, None), done.set_result)
        await asyncio.sleep(0)
        loop_has_run.set()
        response = await done
        batcher.close()
        return response.status

    assert asyncio.run(run()) == 200


def test_health_checks_get_responses_while_a_large_batch_is_predicted():
    model = FIXTURES / "oracle" / "binary_logistic" / "model"
    # Only the slow reader reads semicolons.
    body = "\n".join(["1.5;2.5;3.5;4.5;5.5"] * 100_000)
    with serving(model) as client, ThreadPoolExecutor(1) as pool:
        large = pool.submit(client.send, body)
        pings = 0
        while not large.done():
            assert client.send(method="GET", path="/ping").status == 200
            pings += 1
        assert large.result().body.count("\n") == 100_000
    assert pings > 3
