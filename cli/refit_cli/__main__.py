"""Start the command `refit`; `python -m refit_cli` does the same."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command."""
    # Importing takes a second, in which Ctrl-C would show a traceback: it just ends the process.
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from refit_cli.main import app  # noqa: PLC0415 - see above

    signal.signal(signal.SIGINT, before)
    app()


if __name__ == "__main__":
    main()
