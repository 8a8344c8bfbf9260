"""The `serve` entry point: the model server on one port, until SIGTERM.

SIGTERM ends it gracefully: what has begun is answered, nothing new is taken.
"""

import asyncio
import json
import logging
import os
import signal
from collections.abc import Callable
from http import HTTPStatus

from refit_local.algorithms.xgboost.serving.batching import Batcher
from refit_local.algorithms.xgboost.serving.connection import Connection, Head
from refit_local.algorithms.xgboost.serving.models import ModelUnloadable
from refit_local.algorithms.xgboost.serving.routes import (
    EXECUTION_PARAMETERS,
    INVOCATIONS,
    PING,
    refuse,
)
from refit_local.algorithms.xgboost.serving.scoring import Answer, Request, Scorer
from refit_local.algorithms.xgboost.serving.settings import ServeSettings

_log = logging.getLogger(__name__)
_BACKLOG = 2048
_IDLE_S = 65.0
_SWEEP_S = 5.0
_DRAIN_S = 20.0
_PONG = Answer(HTTPStatus.OK, body=b"")


class ModelServer:
    """The application behind the connections."""

    def __init__(self, settings: ServeSettings, scorer: Scorer, batcher: Batcher) -> None:
        self.max_body_bytes = settings.max_body_bytes
        self.is_closing = False
        self.connections: set[Connection] = set()
        self._scorer = scorer
        self._batcher = batcher
        self._parameters = json.dumps(
            {
                "MaxConcurrentTransforms": os.cpu_count(),
                "BatchStrategy": "MULTI_RECORD",
                "MaxPayloadInMB": settings.max_body_bytes // 1024**2,
            }
        ).encode()

    def takes_body(self, head: Head) -> bool:
        return head.path == INVOCATIONS and head.method == "POST"

    def handle(self, head: Head, body: bytes, deliver: Callable[[Answer], None]) -> None:
        refusal = refuse(head.method, head.path)
        if refusal is not None:
            deliver(refusal)
        elif head.path == INVOCATIONS:
            headers = head.headers
            request = Request(body, headers.get(b"content-type"), headers.get(b"accept"))
            self._batcher.submit(request, deliver)
        elif head.path == PING:
            deliver(self._ping())
        elif head.path == EXECUTION_PARAMETERS:
            deliver(Answer(HTTPStatus.OK, "application/json", self._parameters))

    def _ping(self) -> Answer:
        try:
            self._scorer.load()
        except ModelUnloadable as error:
            _log.error("%s", error)
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR)
        return _PONG


def main() -> int:
    """Serve until SIGTERM and return the exit code: 1 if the port cannot be had."""
    logging.basicConfig(
        format="[%(asctime)s:%(levelname)s] %(message)s",
        datefmt="%Y-%m-%d:%H:%M:%S",
        level=logging.INFO,
    )
    settings = ServeSettings.from_environment()
    scorer = Scorer(settings)
    try:
        scorer.load()
    except ModelUnloadable as error:
        # The health check says so for as long as it lasts; SageMaker then reports the endpoint.
        _log.error("Unable to load model: %s", error)
    try:
        asyncio.run(_serve(settings, scorer))
    except OSError as error:
        _log.error("Unable to listen on %s port %d: %s", settings.host, settings.port, error)
        return 1
    return 0


async def _serve(settings: ServeSettings, scorer: Scorer) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await serve_until(stopped, settings, scorer)


async def serve_until(stopped: asyncio.Event, settings: ServeSettings, scorer: Scorer) -> None:
    """Serve until the event is set, and then until what has begun is answered.

    Raises:
        OSError: the port cannot be had.
    """
    loop = asyncio.get_running_loop()
    batcher = Batcher(scorer.answer)
    application = ModelServer(settings, scorer, batcher)
    server = await loop.create_server(
        lambda: Connection(application), settings.host, settings.port, backlog=_BACKLOG
    )
    _log.info("Serving on %s port %d", settings.host, settings.port)
    sweeper = loop.create_task(_end_idle_connections(application))
    await stopped.wait()
    _log.info("Ending: answering what has begun")
    sweeper.cancel()
    server.close()
    await _drain(application)
    batcher.close()


async def _end_idle_connections(application: ModelServer) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_SWEEP_S)
        for connection in list(application.connections):
            is_idle = loop.time() - connection.last_active_s > _IDLE_S
            if is_idle and not connection.owes_answers:
                connection.time_out()


async def _drain(application: ModelServer) -> None:
    application.is_closing = True
    for connection in list(application.connections):
        connection.close_when_answered()
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + _DRAIN_S
    while application.connections and loop.time() < deadline_s:
        await asyncio.sleep(0.01)
    for connection in list(application.connections):
        connection.abort()
