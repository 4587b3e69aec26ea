"""MVTec AD's layout: `train/good`, `test/good`, `test/<type>` and masks in `ground_truth/<type>/*_mask.png`.

Bergmann, Fauser, Sattlegger, Steger: "MVTec AD", CVPR 2019. As published, all defects are in test and train holds good
images only: that is a zero-shot build. For a few-shot or full-shot build on it, read it with `resplit=True`
(`trainer.data.readers.read`): the published split is then forgotten and a stratified one made, whose test differs from
the published one, so its figures must not be compared with those of papers.
"""

from pathlib import Path

from trainer.data.readers import files, names
from trainer.data.samples import Sample, Split

_SPLITS: tuple[Split, ...] = ("train", "test")


def matches(root: Path) -> bool:
    """Whether there are `train/good` and `test/`, and either `ground_truth/` or defect types below `test/`."""
    if not (root / "train" / "good").is_dir() or not (root / "test").is_dir():
        return False
    if (root / "ground_truth").is_dir():
        return True
    only_good = [child.name for child in files.subfolders(root / "train")] == ["good"]
    return only_good and any(names.label(child.name) is None for child in files.subfolders(root / "test"))


def read(root: Path) -> list[Sample]:
    """Read the layout with its published split; every folder that is not `good` is a defect type."""
    samples = []
    for split in _SPLITS:
        for folder in files.subfolders(root / split):
            good = folder.name == "good"
            for image in files.images(folder):
                truth = root / "ground_truth" / folder.name / f"{image.stem}_mask.png"
                samples.append(
                    Sample(
                        path=image,
                        label=0 if good else 1,
                        split=split,
                        mask=truth if not good and truth.is_file() else None,
                        defect_type="" if good else folder.name,
                    )
                )
    return samples
