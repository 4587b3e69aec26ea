"""The one logging set-up of the product: plain lines on stderr, so that stdout stays machine-readable."""

import logging
import sys


def configure(verbosity: int = 0) -> None:
    """Send log lines to stderr; `verbosity` -1 shows errors only, 0 warnings and notices, 1 debug."""
    level = {-1: logging.ERROR, 0: logging.INFO}.get(max(-1, min(verbosity, 1)), logging.DEBUG)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for package in ("inspector", "trainer", "calibration", "models"):
        logging.getLogger(package).setLevel(level)
    # on import it warns of 4-bit kernels, which nothing here uses
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
