"""ONNX Runtime on the CPU, or on CUDA where the installed build offers it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from inspector.errors import BackendError
from inspector.optional import require

_PREFERRED = ("CUDAExecutionProvider", "CPUExecutionProvider")


class OnnxRuntimeBackend:
    """See `inspector.backends.Backend`."""

    def __init__(self, model: Path, threads: int = 0) -> None:
        runtime = require("onnxruntime", "scoring images")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        available = runtime.get_available_providers()
        try:
            self._session = runtime.InferenceSession(
                str(model), options, providers=[name for name in _PREFERRED if name in available]
            )
        except Exception as error:
            raise BackendError(f"ONNX Runtime cannot load {model}: {error}") from error
        # The build lists providers it cannot start and falls back silently: ask the session what it runs on.
        self.name = f"onnxruntime/{self._session.get_providers()[0].removesuffix('ExecutionProvider').lower()}"

    def run(self, images: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        try:
            logit, cam = self._session.run(["logit", "cam"], {"images": images})
        except Exception as error:
            raise BackendError(f"ONNX Runtime failed: {error}") from error
        return logit, cam
