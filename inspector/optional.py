"""The one place where optional dependencies are imported, with the hint that installs them."""

import importlib
from types import ModuleType

from inspector.errors import BackendError, InandoutError

_EXTRA_OF = {
    "onnxruntime": "edge",
    "torch": "train",
    "torchvision": "train",
    "accelerate": "train",
    "onnx": "train",
    "onnxscript": "train",
    "safetensors": "train",
    "yaml": "train",
    "jinja2": "train",
    "diffusers": "train",
    "transformers": "train",
    "peft": "train",
    "fastapi": "train",
    "uvicorn": "train",
}


def require(module: str, purpose: str) -> ModuleType:
    """Import `module`, or say which extra brings it.

    Args:
        module: dotted module name; its top-level package must be a known optional dependency.
        purpose: what needs it, for the message ("scoring images").

    Raises:
        BackendError: the inference runtime is missing.
        InandoutError: any other optional package is missing.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        extra = _EXTRA_OF[package]
        kind = BackendError if extra == "edge" else InandoutError
        if not isinstance(error, ModuleNotFoundError) or (error.name or "").partition(".")[0] != package:
            reason = " ".join(str(error).split())
            raise kind(f"{package} is installed but cannot be imported ({reason}): install it again") from error
        alternative = " (or 'inandout[edge-gpu]')" if extra == "edge" else ""
        raise kind(
            f"{package} is not installed, and {purpose} needs it: pip install 'inandout[{extra}]'{alternative}"
        ) from error
