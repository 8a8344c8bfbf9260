"""The `serve` entry point: the model server on one port, until SIGTERM.

Output  the log on standard error
Exit    0 after SIGTERM or SIGINT · 1 if the port is not available

On SIGTERM the server accepts no new request, responds to those it has begun to receive, and ends.
"""

import asyncio
import json
import logging
import os
import signal
from collections.abc import Callable
from http import HTTPStatus

from refit_local.algorithms.xgboost.serving.batching import Batcher
from refit_local.algorithms.xgboost.serving.http_connection import HttpConnection
from refit_local.algorithms.xgboost.serving.http_messages import RequestHead, ServerResponse
from refit_local.algorithms.xgboost.serving.models import ModelUnloadable
from refit_local.algorithms.xgboost.serving.routes import (
    EXECUTION_PARAMETERS,
    INVOCATIONS,
    PING,
    respond_without_route,
)
from refit_local.algorithms.xgboost.serving.scoring import PredictionRequest, Scorer
from refit_local.algorithms.xgboost.serving.settings import ServeSettings

_log = logging.getLogger(__name__)
_BACKLOG = 2048
_IDLE_TIMEOUT_S = 65.0
_IDLE_CHECK_INTERVAL_S = 5.0
_SHUTDOWN_TIMEOUT_S = 20.0
_HEALTHY = ServerResponse(HTTPStatus.OK, body=b"")


class XGBoostServer:
    """Responds to the requests of all connections."""

    def __init__(self, settings: ServeSettings, scorer: Scorer, batcher: Batcher) -> None:
        self.max_body_bytes = settings.max_body_bytes
        self.is_closing = False
        self.connections: set[HttpConnection] = set()
        self._scorer = scorer
        self._batcher = batcher
        self._execution_parameters = json.dumps(
            {
                "MaxConcurrentTransforms": os.cpu_count(),
                "BatchStrategy": "MULTI_RECORD",
                "MaxPayloadInMB": settings.max_body_bytes // 1024**2,
            }
        ).encode()

    def takes_body(self, head: RequestHead) -> bool:
        return head.path == INVOCATIONS and head.method == "POST"

    def handle(
        self, head: RequestHead, body: bytes, deliver: Callable[[ServerResponse], None]
    ) -> None:
        response = respond_without_route(head.method, head.path)
        if response is not None:
            deliver(response)
        elif head.path == INVOCATIONS:
            headers = head.headers
            request = PredictionRequest(body, headers.get(b"content-type"), headers.get(b"accept"))
            self._batcher.submit(request, deliver)
        elif head.path == PING:
            deliver(self._check_health())
        elif head.path == EXECUTION_PARAMETERS:
            deliver(ServerResponse(HTTPStatus.OK, "application/json", self._execution_parameters))

    def _check_health(self) -> ServerResponse:
        try:
            self._scorer.load()
        except ModelUnloadable as error:
            _log.error("%s", error)
            return ServerResponse(HTTPStatus.INTERNAL_SERVER_ERROR)
        return _HEALTHY


def main() -> int:
    """Serve until SIGTERM and return the exit code."""
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
        # The server starts all the same: its health check then fails, which SageMaker reports.
        _log.error("Unable to load model: %s", error)
    try:
        asyncio.run(_serve_until_signal(settings, scorer))
    except OSError as error:
        _log.error("Unable to listen on %s port %d: %s", settings.host, settings.port, error)
        return 1
    return 0


async def _serve_until_signal(settings: ServeSettings, scorer: Scorer) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await serve_until(stopped, settings, scorer)


async def serve_until(stopped: asyncio.Event, settings: ServeSettings, scorer: Scorer) -> None:
    """Serve until the event is set, then respond to the requests that have begun.

    Raises:
        OSError: the port is not available.
    """
    loop = asyncio.get_running_loop()
    batcher = Batcher(scorer.respond)
    application = XGBoostServer(settings, scorer, batcher)
    server = await loop.create_server(
        lambda: HttpConnection(application), settings.host, settings.port, backlog=_BACKLOG
    )
    _log.info("Serving on %s port %d", settings.host, settings.port)
    idle_check = loop.create_task(_end_idle_connections(application))
    await stopped.wait()
    _log.info("Shutting down: responding to the requests that have begun")
    idle_check.cancel()
    server.close()
    await _close_connections(application)
    batcher.close()


async def _end_idle_connections(application: XGBoostServer) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_IDLE_CHECK_INTERVAL_S)
        for connection in list(application.connections):
            is_idle = loop.time() - connection.last_active_s > _IDLE_TIMEOUT_S
            if is_idle and not connection.has_pending_responses:
                connection.time_out()


async def _close_connections(application: XGBoostServer) -> None:
    application.is_closing = True
    for connection in list(application.connections):
        connection.close_after_responses()
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + _SHUTDOWN_TIMEOUT_S
    while application.connections and loop.time() < deadline_s:
        await asyncio.sleep(0.01)
    for connection in list(application.connections):
        connection.abort()
