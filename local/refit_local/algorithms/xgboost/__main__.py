"""Start the container: `python -m refit_local.algorithms.xgboost train|serve`."""

import sys


def main() -> int:
    """Run the entry point that the command line names; return its exit code."""
    match sys.argv[1:]:
        case ["train"]:
            from refit_local.algorithms.xgboost.train import main as train  # noqa: PLC0415 - serving does not load training

            return train()
        case ["serve"]:
            from refit_local.algorithms.xgboost.serving.server import main as serve  # noqa: PLC0415 - training does not load serving

            return serve()
    print("usage: python -m refit_local.algorithms.xgboost train|serve", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
