"""The schema of a bundle's `manifest.json`: the one contract between trainer and edge."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from inspector.decision import Decision
from inspector.preprocess import InputSpec

FORMAT_VERSION = 1
_Probability = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class FileEntry(_Strict):
    """A file of the bundle, its SHA-256 and size in bytes."""

    path: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class ModelEntry(FileEntry):
    """One rung of the precision ladder."""

    precision: Literal["fp32", "bf16", "fp16", "int8"]


class Interval(_Strict):
    """A two-sided confidence interval at level `confidence`, and how it was computed."""

    low: float
    high: float
    confidence: float = Field(gt=0, lt=1)
    method: str


class Guarantee(_Strict):
    """What holds with probability `confidence` over the draw of the calibration set.

    `metric` (recall or fpr) is at least (recall) or at most (fpr) `bound` on new exchangeable data.
    """

    metric: Literal["recall", "fpr"]
    bound: float = Field(ge=0, le=1)
    confidence: float = Field(gt=0, lt=1)
    method: str


class Calibration(_Strict):
    """The operating point and what supports it.

    Attributes:
        policy: as asked, e.g. `max-f1` or `recall>=0.99`.
        threshold: calibrated probability at or above which a frame is a defect.
        temperature, bias: `probability = sigmoid(logit / temperature + bias)`.
        review_band: probabilities `(low, high)` judged `review`, or None.
        n_defect, n_ok: images that support the choice.
        defects: `real`, or `synthetic` where no real defect was available.
        compared: networks that were compared on these same images before this one was chosen; 1 if it was given.
        source: where the scores came from, for people: a split or a folder's name.
        metrics: figures at the operating point on the calibration data (precision, recall, f1, fpr, ap ...).
        intervals: by metric name.
        guarantee: finite-sample guarantee, or None where the policy carries none.
        created: UTC, ISO 8601.
    """

    policy: str
    threshold: float = Field(ge=0, le=1)
    temperature: float = Field(1.0, gt=0)
    bias: float = 0.0
    review_band: tuple[_Probability, _Probability] | None = None
    n_defect: int = Field(ge=0)
    n_ok: int = Field(ge=0)
    defects: Literal["real", "synthetic"] = "real"
    compared: int = Field(1, ge=1)
    source: str = ""
    metrics: dict[str, float] = {}
    intervals: dict[str, Interval] = {}
    guarantee: Guarantee | None = None
    created: str

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.review_band is not None and self.review_band[0] > self.review_band[1]:
            raise ValueError("review_band is (low, high)")
        return self

    def decision(self) -> Decision:
        """The rule that judges logits."""
        return Decision(self.threshold, self.temperature, self.bias, self.review_band)


class Parity(_Strict):
    """How far the exported model is from the trained one, on real evaluation images."""

    images: int = Field(ge=1)
    max_probability_difference: float = Field(ge=0)
    tolerance: float = Field(gt=0)
    verdict_flips: int = Field(ge=0)
    runtime: str


class Manifest(_Strict):
    """Everything the edge must know of a bundle, and everything a person may ask of it.

    Attributes:
        format_version: readers refuse any other.
        name: the build's name.
        created: UTC, ISO 8601.
        models: at least the fp32 rung.
        files: the other checksummed files (`scores.csv`, `report.html`).
        input: how frames become model input.
        classes: verdict of a low and of a high logit.
        calibration: the operating point in force.
        history: earlier operating points, oldest first.
        provenance: resolved recipe, data fingerprint, package versions, seed.
        metrics: test figures (`ap`, `ap_low`, `ap_high`, ...).
        parity: the export gate's report.
    """

    format_version: Literal[1] = 1
    name: str
    created: str
    models: list[ModelEntry] = Field(min_length=1)
    files: list[FileEntry] = []
    input: InputSpec
    classes: tuple[str, str] = ("ok", "defect")
    calibration: Calibration
    history: list[Calibration] = []
    provenance: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    parity: Parity

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [entry.path for entry in [*self.models, *self.files]]
        rungs = [entry.precision for entry in self.models]
        if len(set(names)) < len(names) or "manifest.json" in names:
            raise ValueError("a file is listed twice, or is the manifest itself")
        if "fp32" not in rungs or len(set(rungs)) < len(rungs):
            raise ValueError("models need one fp32 rung, and each rung once")
        return self
