"""Synthetic defects: small ports, one file or folder per generator."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from inspector.preprocess import InputSpec

if TYPE_CHECKING:
    from accelerate import Accelerator
    from rich.console import Console

Pixels = npt.NDArray[np.uint8]
Steering = Literal["prompt", "region"]


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticImage:
    """A generated defect image at the model's size.

    Attributes:
        pixels: `(H, W, 3)` uint8 RGB.
        mask: `(H, W)` uint8, 255 where the defect is, or None where the generator cannot tell.
        provenance: JSON-serialisable: generator, seed, index, source image, prompt, parameters.
    """

    pixels: Pixels
    mask: Pixels | None
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Material:
    """What a generator may learn from and draw on: images of one split, real ones only.

    Attributes:
        normals: files of defect-free images.
        defects: files of real defects that the scenario allows; empty in zero_shot.
        spec: the model's input; generated images have its size.
        scenario: `zero_shot`, `few_shot` or `full_shot`.
        seed: of everything a generator learns.
        weights: the classifier's start weights, as `--weights` names them; features are taken from them.
    """

    normals: Sequence[Path]
    defects: Sequence[Path]
    spec: InputSpec
    scenario: Literal["zero_shot", "few_shot", "full_shot"] = "full_shot"
    seed: int = 0
    weights: str = "none"


class Augmenter(Protocol):
    """Draws defect images."""

    def generate(self, n: int, seed: int, first: int = 0) -> Iterator[SyntheticImage]:
        """Yield images `first` to `first + n - 1` of `seed`; the k-th depends on `(seed, k)` alone."""
        ...


@runtime_checkable
class Learner(Protocol):
    """An augmenter that has to be trained before it draws."""

    def fit(self, folder: Path, accelerator: "Accelerator", console: "Console") -> None:
        """Train into `folder`; called on every process. A second call goes on where the first was stopped.

        Raises:
            InandoutError: in one sentence; what is on the disk can be continued.
        """
        ...

    def load(self, folder: Path, device: str) -> None:
        """Make ready to draw on `device` with what `fit` left in `folder`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Commission:
    """One image to a person's order, from the review page.

    Attributes:
        seed: of the drawing.
        prompt: what to draw, for generators steered by it.
        part: `(H, W, 3)` uint8 RGB good image to paint on, for generators steered by a region.
        region: `(H, W)` uint8, non-zero where to paint; None leaves it to the generator.
    """

    seed: int
    prompt: str | None = None
    part: Pixels | None = None
    region: Pixels | None = None


@runtime_checkable
class Steerable(Protocol):
    """An augmenter that draws to order."""

    @property
    def steered_by(self) -> frozenset[Steering]:
        """What of a commission it heeds."""
        ...

    def draw_for(self, commission: Commission) -> SyntheticImage:
        """Draw one image.

        Raises:
            DataError: the commission cannot be drawn (prompt too long, empty region, wrong size).
        """
        ...
