"""Inference backends behind one port; `create` picks one by name."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from inspector.bundle import Bundle
from inspector.errors import BackendError


class Backend(Protocol):
    """Runs a bundle's model."""

    name: str

    def run(self, images: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Score `(N, H, W, 3)` uint8 RGB at the model's size; return `logit (N,)` and `cam (N, h, w)`.

        Raises:
            BackendError: the runtime failed.
        """
        ...


def _onnxruntime(bundle: Bundle, threads: int) -> Backend:
    from inspector.backends.onnxruntime import OnnxRuntimeBackend

    return OnnxRuntimeBackend(bundle.model_path("fp32"), threads)


_REGISTRY: dict[str, Callable[[Bundle, int], Backend]] = {"onnxruntime": _onnxruntime}
NAMES = tuple(_REGISTRY)


def create(name: str, bundle: Bundle, threads: int = 0) -> Backend:
    """Open a backend; `threads` 0 lets the runtime decide. Raises `BackendError`."""
    if name not in _REGISTRY:
        raise BackendError(f"no backend named {name!r}: choose one of {', '.join(NAMES)}")
    return _REGISTRY[name](bundle, threads)
