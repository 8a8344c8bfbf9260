"""Requests and responses of the model server, and their form on the wire."""

from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

_HTML = "text/html; charset=utf-8"
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


class RequestHead:
    """Method, path and the headers that the server uses of one request."""

    __slots__ = ("header_bytes", "headers", "is_http_1_0", "method", "path", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: dict[bytes, str] = {}
        self.header_bytes = 0
        self.method = ""
        self.path = ""
        self.is_http_1_0 = False


@dataclass(frozen=True)
class ServerResponse:
    """Status, headers and body of a response. Without a body, the error page is sent."""

    status: HTTPStatus
    content_type: str = _HTML
    body: bytes | None = None
    allow: str | None = None


def path_of(url: bytes) -> str:
    """Return the decoded path of a request target, which may be an absolute URL."""
    text = url.decode("latin-1")
    if not text.startswith("/"):
        text = urlsplit(text).path
    return unquote(text.partition("?")[0])


def encode_response(response: ServerResponse, head: RequestHead, *, is_last: bool) -> bytes:
    """Encode a response to a request.

    Args:
        response: of any status.
        head: of the request. HEAD gets no body; HTTP/1.0 gets `Connection: keep-alive`.
        is_last: the server closes the connection after this response.
    """
    body = error_page(response.status) if response.body is None else response.body
    start = _start(
        response.status, response.content_type, response.allow, is_last, head.is_http_1_0
    )
    if response.status is HTTPStatus.NO_CONTENT:
        return start + b"\r\n"
    content = b"" if head.method == "HEAD" else body
    return b"%bContent-Length: %d\r\n\r\n%b" % (start, len(body), content)


@lru_cache(maxsize=256)
def _start(
    status: HTTPStatus, content_type: str, allow: str | None, is_last: bool, is_http_1_0: bool
) -> bytes:
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Type: {content_type}"]
    if allow is not None:
        lines.append(f"Allow: {allow}")
    if is_last:
        lines.append("Connection: close")
    elif is_http_1_0:
        lines.append("Connection: keep-alive")
    return "\r\n".join([*lines, ""]).encode("latin-1")


def error_page(status: HTTPStatus) -> bytes:
    """Return the HTML page of an error, in the form that the image's web framework writes."""
    title = status.phrase
    text = _EXPLANATIONS.get(status, status.description)
    return (
        f"<!doctype html>\n<html lang=en>\n<title>{status.value} {title}</title>\n"
        f"<h1>{title}</h1>\n<p>{text}</p>\n"
    ).encode()
