"""Self-contained pages: how their templates are read."""

from pathlib import Path
from typing import Any

from inspector.optional import require


def environment(folder: Path, purpose: str) -> Any:
    """A `jinja2.Environment` for the templates in `folder`: every text escaped, a missing name an error.

    Raises:
        InandoutError: jinja2 is not installed; `purpose` says what needs it.
    """
    jinja2 = require("jinja2", purpose)
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
