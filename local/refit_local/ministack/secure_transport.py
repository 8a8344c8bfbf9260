"""S3 bucket policies: treat plain HTTP on the loopback interface as `aws:SecureTransport`.

AWS        answers on TLS, and Refit's bucket policy denies requests without it
MiniStack  answers on plain HTTP, so that policy would deny every request
Why safe   the local stack listens on 127.0.0.1 only
"""

from __future__ import annotations

from refit_local.ministack.names import Hook


def install() -> None:
    """Install this patch into MiniStack."""
    Hook.PIN_ORIGIN.wrap(lambda original, address, secure: original(address, True))
