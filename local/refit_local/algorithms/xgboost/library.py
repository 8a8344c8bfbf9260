"""xgboost, imported without the packages that only its scikit-learn wrappers need.

xgboost imports scikit-learn and pandas whenever they are installed, which takes its import from
half a second to more than two. Every training job and every endpoint start would wait for that.
"""

import sys
from types import ModuleType

_NOT_NEEDED = ("pandas", "sklearn")


def _import_lean() -> ModuleType:
    hidden = [name for name in _NOT_NEEDED if name not in sys.modules]
    for name in hidden:
        # None makes `import name` raise ImportError, which xgboost takes for "not installed".
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        import xgboost  # noqa: PLC0415 - must come after the lines above
    finally:
        # The metrics of training and the k-fold splits do import scikit-learn, later and on demand.
        for name in hidden:
            del sys.modules[name]
    return xgboost


xgb = _import_lean()
