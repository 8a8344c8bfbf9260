"""An ASGI application with the same routes, scorer and batches as the model server.

benchmarks/serving.py runs it under uvicorn, granian and Hypercorn, with the environment of `serve`.
"""

import asyncio
import json
import os
from http import HTTPStatus

from refit_local.algorithms.xgboost.serving.batching import Batcher
from refit_local.algorithms.xgboost.serving.http_messages import ServerResponse, error_page
from refit_local.algorithms.xgboost.serving.models import ModelUnloadable
from refit_local.algorithms.xgboost.serving.routes import (
    INVOCATIONS,
    PING,
    respond_without_route,
)
from refit_local.algorithms.xgboost.serving.scoring import PredictionRequest, Scorer
from refit_local.algorithms.xgboost.serving.settings import ServeSettings

TOO_LARGE = ServerResponse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


class AsgiModelServer:
    def __init__(self, settings):
        self.max_body_bytes = settings.max_body_bytes
        self.scorer = Scorer(settings)
        parameters = {
            "MaxConcurrentTransforms": os.cpu_count(),
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": settings.max_body_bytes // 1024**2,
        }
        self.parameters = ServerResponse(
            HTTPStatus.OK, "application/json", json.dumps(parameters).encode()
        )

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self.live(receive, send)
            return
        response = await self.respond(scope, receive)
        body = error_page(response.status) if response.body is None else response.body
        headers = [
            (b"content-type", response.content_type.encode()),
            (b"content-length", b"%d" % len(body)),
        ]
        if response.allow is not None:
            headers.append((b"allow", response.allow.encode()))
        await send(
            {"type": "http.response.start", "status": int(response.status), "headers": headers}
        )
        await send({"type": "http.response.body", "body": body})

    async def live(self, receive, send):
        await receive()
        self.scorer.load()
        self.loop = asyncio.get_running_loop()
        self.batcher = Batcher(self.scorer.respond)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.batcher.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def respond(self, scope, receive):
        path = scope["path"]
        response = respond_without_route(scope["method"], path)
        if response is not None:
            return response
        if path == INVOCATIONS:
            return await self.predict(scope, receive)
        if path == PING:
            return self.ping()
        return self.parameters

    def ping(self):
        try:
            self.scorer.load()
        except ModelUnloadable:
            return ServerResponse(HTTPStatus.INTERNAL_SERVER_ERROR)
        return ServerResponse(HTTPStatus.OK, body=b"")

    async def predict(self, scope, receive):
        content_type = accept = None
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value.decode("latin-1")
            elif name == b"accept":
                accept = value.decode("latin-1")
            elif name == b"content-length" and int(value) > self.max_body_bytes:
                return TOO_LARGE
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
            if len(body) > self.max_body_bytes:
                return TOO_LARGE
        response = self.loop.create_future()
        self.batcher.submit(PredictionRequest(body, content_type, accept), response.set_result)
        return await response


app = AsgiModelServer(ServeSettings.from_environment())
