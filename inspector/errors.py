"""The one exception tree of the product; each message says what was wrong, where, and what to do."""


class InandoutError(Exception):
    """Base of every error the product raises on purpose; command lines print it as one line, exit code 1."""


class DataError(InandoutError):
    """An image, a mask, a label or a data set cannot be used."""


class RecipeError(InandoutError):
    """A recipe or an override is not valid."""


class BundleError(InandoutError):
    """A model bundle is missing, damaged, of an unknown format, or cannot be written."""


class SourceError(InandoutError):
    """A camera, stream or video cannot be opened or read."""


class SinkError(InandoutError):
    """Results cannot be written."""


class BackendError(InandoutError):
    """An inference backend is missing or failed."""
