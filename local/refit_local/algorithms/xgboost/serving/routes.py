"""The paths of the model server and the methods that each accepts.

Source  docs/sagemaker-contract.md, "Serving container"
"""

from http import HTTPStatus

from refit_local.algorithms.xgboost.serving.http_messages import ServerResponse

INVOCATIONS = "/invocations"
PING = "/ping"
EXECUTION_PARAMETERS = "/execution-parameters"

_METHODS = {
    PING: ("GET", "HEAD", "OPTIONS"),
    EXECUTION_PARAMETERS: ("GET", "HEAD", "OPTIONS"),
    INVOCATIONS: ("POST", "OPTIONS"),
}


def respond_without_route(method: str, path: str) -> ServerResponse | None:
    """Return the response for an unknown path, a method not allowed, or OPTIONS.

    Returns:
        None if the method is allowed for the path: the route has to respond.
    """
    methods = _METHODS.get(path)
    if methods is None:
        return ServerResponse(HTTPStatus.NOT_FOUND)
    if method == "OPTIONS":
        return ServerResponse(HTTPStatus.OK, body=b"", allow=", ".join(methods))
    if method in methods:
        return None
    return ServerResponse(HTTPStatus.METHOD_NOT_ALLOWED, allow=", ".join(methods))
