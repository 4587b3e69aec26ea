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
        if not hasattr(runtime, "InferenceSession"):  # what is left when one of its two packages is uninstalled
            raise BackendError("onnxruntime is installed only in part: pip install --force-reinstall onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # failures arrive as exceptions; its own log would say them twice
        available = runtime.get_available_providers()
        try:
            self._session = runtime.InferenceSession(
                str(model), options, providers=[name for name in _PREFERRED if name in available]
            )
        except Exception as error:
            raise BackendError(f"ONNX Runtime cannot load {model}: {_one_line(error)}") from error
        inputs = {node.name: node.type for node in self._session.get_inputs()}
        outputs = {node.name for node in self._session.get_outputs()}
        if inputs != {"images": "tensor(uint8)"} or not outputs >= {"logit", "cam"}:
            raise BackendError(
                f"{model} takes {inputs} and gives {sorted(outputs)}: a bundle's model takes uint8 'images' and "
                "gives 'logit' and 'cam'; export it again"
            )
        # The build lists providers it cannot start and falls back silently: ask the session what it runs on.
        self.name = f"onnxruntime/{self._session.get_providers()[0].removesuffix('ExecutionProvider').lower()}"

    def run(self, images: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """See `inspector.backends.Backend.run`."""
        try:
            logit, cam = self._session.run(["logit", "cam"], {"images": images})
        except Exception as error:
            raise BackendError(f"ONNX Runtime failed: {_one_line(error)}") from error
        if logit.shape != (len(images),) or cam.ndim != 3 or len(cam) != len(images) or cam.size == 0:
            raise BackendError(
                f"the model gave logit {logit.shape} and cam {cam.shape} for {len(images)} images: export it again"
            )
        return logit, cam


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
