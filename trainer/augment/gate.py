"""The gate: every generated image is kept, or rejected for one reason, before training sees it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from inspector import imagefile, preprocess
from inspector.errors import DataError
from inspector.preprocess import InputSpec
from trainer.augment import Material, Pixels, SyntheticImage
from trainer.augment.features import FeatureMaps, Features
from trainer.augment.gate_copies import COPY, Copies
from trainer.augment.gate_texture import Texture
from trainer.augment.gate_visibility import RISE, Maps, Visibility
from trainer.generator_sections import GateSection

Reason = Literal["", "near-duplicate", "not visible", "off texture", "degenerate"]
REASONS: tuple[Reason, ...] = ("near-duplicate", "not visible", "off texture", "degenerate")

_MOST_IMAGES = 256
_MOST_BYTES = 2**28
_CHUNK = 32
_FLAT = 0.2
_CLIPPED = 0.25
_UNCHANGED = 4
_MOSTLY = 0.5

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gate says of one image.

    Attributes:
        kept: whether training may see it.
        reason: why not; empty for a kept image.
        figures: what the reasons were decided by, as far as they were looked into: `contrast` (grey levels), `clipped`
            (share of pixels), `copy` (`gate_copies.residual`), `share` and `rise` (`gate_visibility.Visibility`),
            `texture` (`gate_texture.Texture.excess`).
    """

    kept: bool
    reason: Reason
    figures: dict[str, float] = field(default_factory=dict)


class Gate:
    """Judges generated images by what `learn` found in real ones; reasons are looked into in this order.

    - `degenerate`: not of the model's size or not finite, less than a fifth of the lowest contrast of real good
      images, or a quarter more of the pixels black or white than in any of them.
    - `near-duplicate`: `gate_copies` finds a training image that it repeats. An image painted on a training normal
      repeats that one outside the defect by design, and is compared with training defects only.
    - `not visible`: the first classifier scores the defect's region no higher than the section's `visible` share of
      good images; or, where the image was painted on a known source, less than `gate_visibility.RISE` above it. An
      image was painted on the source that its provenance names when most pixels outside the mask are still the
      source's. On magnetic tiles (300 normals), the rise of MemSeg defects passed always (82 % with five real defects
      to learn from), that of the same regions merely sent through a latent codec, with noise of 3 levels, or blurred
      by one pixel, in 0 to 10 %; the share alone kept half of these.
    - `off texture`: outside the mask (everywhere, where there is none) the surface is farther from real good images
      than they are from each other. Where the source is known, it is put back into the mask first, because features
      see beyond their cell and would take a strong defect for a strange surface; an image that then is its source is
      on the texture.
    """

    def __init__(
        self,
        spec: InputSpec,
        section: GateSection,
        features: Features,
        plainest: tuple[float, float],
        copies: Copies,
        visibility: Visibility,
        texture: Texture,
        sources: dict[Path, Maps],
        told: dict[str, Any],
    ) -> None:
        self._spec = spec
        self._section = section
        self._features = features
        self._least_contrast, self._most_clipped = plainest
        self._copies = copies
        self._visibility = visibility
        self._texture = texture
        self._sources = sources
        self._told = told

    @classmethod
    def learn(
        cls, material: Material, features: Features, section: GateSection, imitation: Sequence[SyntheticImage]
    ) -> "Gate":
        """Learn from real images, at most 256 good ones and 256 defects drawn by the material's seed.

        Args:
            material: the training split's images.
            features: frozen; images are compared by them.
            section: the recipe's.
            imitation: MemSeg defects, for the first classifier where the material holds no real defect.

        Raises:
            DataError: no good image, neither real defects nor an imitation, or a file that cannot be decoded.
        """
        if not material.normals:
            raise DataError("the gate needs at least one real good image, and there is none")
        if not material.defects and not imitation:
            raise DataError("the gate needs real defects, or an imitation of them, and there is neither")
        spec = material.spec

        def of(paths: Sequence[Path]) -> FeatureMaps:
            return features.of(preprocess.fit(imagefile.read(path), spec) for path in paths)

        probe = of(material.normals[:1])
        most = max(2, min(_MOST_IMAGES, _MOST_BYTES // probe.nbytes))
        normals = _some(material.normals, most, material.seed)
        defects = _some(material.defects, most, material.seed)
        good = of(normals)
        bad = of(defects) if defects else features.of(image.pixels for image in imitation[:most])
        looks = np.array([_look(preprocess.fit(imagefile.read(path), spec)) for path in normals])
        visibility = Visibility(good, bad, material.seed)
        return cls(
            spec,
            section,
            features,
            (_FLAT * float(looks[:, 0].min()), _CLIPPED + float(looks[:, 1].max())),
            Copies(material.defects, material.normals, spec),
            visibility,
            Texture(good, section.texture, material.seed),
            dict(zip(normals, visibility.maps(good), strict=True)),
            {"normals": len(good), "defects": len(bad), "imitated": not defects},
        )

    def figures(self) -> dict[str, Any]:
        """The thresholds and what they were learnt from; JSON-serialisable."""
        finite = {"texture_outside_mask": self._texture.worst, "texture_whole_image": self._texture.typical}
        return {
            **self._told,
            "least_contrast": self._least_contrast,
            "most_clipped": self._most_clipped,
            "copy": COPY,
            "visible": self._section.visible,
            "rise": RISE,
            **{name: value if math.isfinite(value) else None for name, value in finite.items()},
        }

    def judge(self, images: Sequence[SyntheticImage]) -> list[Judgement]:
        """Judge images; each one's judgement depends on it alone.

        Raises:
            DataError: the source that an image names is there but cannot be decoded.
        """
        return [
            judgement
            for start in range(0, len(images), _CHUNK)
            for judgement in self._judge(images[start : start + _CHUNK])
        ]

    def _judge(self, images: Sequence[SyntheticImage]) -> list[Judgement]:
        found = [self._degenerate(image) for image in images]
        sound = [index for index, judgement in enumerate(found) if judgement.kept]
        if not sound:
            return found
        features = self._features.of(images[index].pixels for index in sound)
        maps = self._visibility.maps(features)
        for index, cells, own in zip(sound, features, maps, strict=True):
            found[index] = self._compare(images[index], cells, own, found[index].figures)
        return found

    def _degenerate(self, image: SyntheticImage) -> Judgement:
        pixels, shape = image.pixels, (self._spec.height, self._spec.width)
        if pixels.shape != (*shape, 3) or pixels.dtype != np.uint8:
            return Judgement(False, "degenerate")
        if image.mask is not None and image.mask.shape != shape:
            return Judgement(False, "degenerate")
        contrast, clipped = _look(pixels)
        figures = {"contrast": contrast, "clipped": clipped}
        if contrast < self._least_contrast or clipped > self._most_clipped:
            return Judgement(False, "degenerate", figures)
        return Judgement(True, "", figures)

    def _compare(
        self, image: SyntheticImage, features: npt.NDArray[np.float16], maps: Maps, figures: dict[str, float]
    ) -> Judgement:
        source = self._source(image)
        apart, _ = self._copies.nearest(image.pixels, defects_only=source is not None)
        if math.isfinite(apart):
            figures = {**figures, "copy": apart}
        if apart <= COPY:
            return Judgement(False, "near-duplicate", figures)
        region = _cells(image.mask, features.shape[:2])
        if not region.any():
            return Judgement(False, "not visible", figures)
        figures = {**figures, "share": self._visibility.share(maps, region)}
        visible = figures["share"] > self._section.visible
        if source is not None:
            figures["rise"] = self._visibility.rise(maps, source.maps, region)
            visible = visible and figures["rise"] >= RISE
        if not visible:
            return Judgement(False, "not visible", figures)
        figures["texture"] = self._strangeness(image, features, region, source)
        if figures["texture"] > 1:
            return Judgement(False, "off texture", figures)
        return Judgement(True, "", figures)

    def _strangeness(
        self, image: SyntheticImage, features: npt.NDArray[np.float16], region: Flags, source: "_Source | None"
    ) -> float:
        if image.mask is None:
            return self._texture.excess(features, None)
        if source is None:
            return self._texture.excess(features, _grown(region))
        restored = np.where(image.mask[..., None] > 0, source.pixels, image.pixels)
        if cv2.absdiff(restored, source.pixels).max() <= _UNCHANGED:
            return 0.0
        return self._texture.excess(self._features.of([restored])[0], np.zeros_like(region))

    def _source(self, image: SyntheticImage) -> "_Source | None":
        """The image's source, if it was painted on one."""
        name = image.provenance.get("source")
        if not isinstance(name, str) or not Path(name).is_file():
            return None
        path = Path(name)
        before = preprocess.fit(imagefile.read(path), self._spec)
        outside = np.ones(before.shape[:2], np.bool_) if image.mask is None else image.mask == 0
        change = cv2.absdiff(image.pixels, before).max(axis=2)[outside]
        if not change.size or (change <= _UNCHANGED).mean() <= _MOSTLY:
            return None
        if path not in self._sources:
            self._sources[path] = self._visibility.maps(self._features.of([before]))[0]
        return _Source(before, self._sources[path])


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """A good image that a defect was painted on, and the first classifiers' maps of it."""

    pixels: Pixels
    maps: Maps


def _look(pixels: Pixels) -> tuple[float, float]:
    """Contrast (standard deviation of the grey picture) and the share of pixels that are black or white."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return float(grey.std()), float(((grey == 0) | (grey == 255)).mean())


def _cells(mask: Pixels | None, shape: tuple[int, int]) -> Flags:
    """The feature map's cells that a mask reaches into; all of them without one."""
    if mask is None:
        return np.ones(shape, np.bool_)
    cover = cv2.resize((mask > 0).astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
    return cover > 0


def _grown(region: Flags) -> Flags:
    """One cell more all around: features see beyond their cell."""
    return cv2.dilate(region.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def _some(paths: Sequence[Path], most: int, seed: int) -> list[Path]:
    if len(paths) <= most:
        return list(paths)
    chosen = np.random.default_rng([seed, 13]).permutation(len(paths))[:most]
    return [paths[index] for index in sorted(chosen)]
