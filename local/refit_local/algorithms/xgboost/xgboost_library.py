"""xgboost, imported without the packages that only its scikit-learn wrappers need.

xgboost imports scikit-learn and pandas if they are installed. Its import then takes more than two
seconds instead of half a second, in every training job and at every start of a model server.
"""

import sys
from typing import TYPE_CHECKING, Any, cast

__all__ = ["xgb"]

_NOT_NEEDED = ("pandas", "sklearn")


def _import_without_wrappers() -> Any:
    # The standard library documents None as a value, its type stubs do not.
    modules = cast("dict[str, Any]", sys.modules)
    hidden = [name for name in _NOT_NEEDED if name not in modules]
    for name in hidden:
        # None makes `import name` raise ImportError, as if the package were not installed.
        modules[name] = None
    try:
        import xgboost  # noqa: PLC0415 - must come after the lines above
    finally:
        # Metrics of training and k-fold splits import scikit-learn later, when they need it.
        for name in hidden:
            del modules[name]
    return xgboost


if TYPE_CHECKING:
    import xgboost as xgb
else:
    xgb = _import_without_wrappers()
