"""hearless: audio classifiers that need to hear less.

The Python door is lazy: ``import hearless`` loads nothing heavy.

    run = hearless.train(labels="meta.csv", root="sounds", rate=1000, method="cssd", backbone="mn04")
    model = hearless.load(run.path)
    model.predict("clip.wav")
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hearless.door import (
        Model,
        contents,
        load,
        load_weights,
        results,
        resynthesise,
        show,
        show_together,
        study,
        train,
    )

__version__ = "0.1.0"
__all__ = [
    "Model",
    "contents",
    "load",
    "load_weights",
    "results",
    "resynthesise",
    "show",
    "show_together",
    "study",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hearless' has no attribute {name!r}; it offers {', '.join(__all__)}.")
    from hearless import door

    return getattr(door, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


class _Package(ModuleType):
    """This package.  ``hearless.train`` is the door's function, though a module of that name is imported as well."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in __all__ or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
