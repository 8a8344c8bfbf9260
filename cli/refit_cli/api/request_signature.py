"""Sign requests to an API whose authorizer is AWS_IAM (Signature Version 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from requests.auth import AuthBase

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from requests import PreparedRequest

_SIGNED_HEADERS = ("content-type",)


class RequestSignature(AuthBase):
    """Signs each request of an HTTP session with AWS credentials.

    Args:
        credentials: those of the caller; temporary ones are renewed when they expire.
        region: the Region of the API.
    """

    def __init__(self, credentials: Credentials, region: str) -> None:
        self._credentials = credentials
        self._region = region

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        headers = {name: request.headers[name] for name in _SIGNED_HEADERS}
        signed = AWSRequest(request.method, request.url, headers, request.body)
        frozen = self._credentials.get_frozen_credentials()
        SigV4Auth(frozen, "execute-api", self._region).add_auth(signed)
        request.headers.update(dict(signed.headers))
        return request
