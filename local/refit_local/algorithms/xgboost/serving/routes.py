"""Which paths there are, which methods they take, and the pages of errors."""

from http import HTTPStatus

from refit_local.algorithms.xgboost.serving.scoring import Answer

INVOCATIONS = "/invocations"
PING = "/ping"
EXECUTION_PARAMETERS = "/execution-parameters"

_METHODS = {
    PING: ("GET", "HEAD", "OPTIONS"),
    EXECUTION_PARAMETERS: ("GET", "HEAD", "OPTIONS"),
    INVOCATIONS: ("POST", "OPTIONS"),
}
_EXPLANATIONS = {
    HTTPStatus.BAD_REQUEST: "The browser (or proxy) sent a request that this server could not "
    "understand.",
    HTTPStatus.NOT_FOUND: "The requested URL was not found on the server. If you entered the URL "
    "manually please check your spelling and try again.",
    HTTPStatus.METHOD_NOT_ALLOWED: "The method is not allowed for the requested URL.",
    HTTPStatus.REQUEST_TIMEOUT: "The server closed the network connection because the browser "
    "didn&#39;t finish the request within the specified time.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The data value transmitted exceeds the capacity limit.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The server encountered an internal error and was unable to "
    "complete your request. Either the server is overloaded or there is an error in the "
    "application.",
}


def refuse(method: str, path: str) -> Answer | None:
    """Return the answer to a request that no route takes, or that only asks for the methods."""
    methods = _METHODS.get(path)
    if methods is None:
        return Answer(HTTPStatus.NOT_FOUND)
    if method == "OPTIONS":
        return Answer(HTTPStatus.OK, body=b"", allow=", ".join(methods))
    if method in methods:
        return None
    return Answer(HTTPStatus.METHOD_NOT_ALLOWED, allow=", ".join(methods))


def page(status: HTTPStatus) -> bytes:
    """Return the page of an error, as the image's web framework writes it."""
    title = status.phrase
    text = _EXPLANATIONS.get(status, status.description)
    return (
        f"<!doctype html>\n<html lang=en>\n<title>{status.value} {title}</title>\n"
        f"<h1>{title}</h1>\n<p>{text}</p>\n"
    ).encode()
