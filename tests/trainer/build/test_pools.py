import json

import numpy as np
import pytest

from inspector.errors import DataError
from trainer.augment import SyntheticImage
from trainer.augment.gate import Judgement
from trainer.build import pools


class Numbered:
    """Draws pictures whose grey value is their number."""

    def __init__(self) -> None:
        self.drawn: list[int] = []

    def generate(self, n, seed, first=0):
        for number in range(first, first + n):
            self.drawn.append(number)
            mask = np.full((4, 4), 255, np.uint8) if number % 2 else None
            yield SyntheticImage(np.full((4, 4, 3), number, np.uint8), mask, {"index": number, "seed": seed})


class Every:
    """A gate that keeps every `nth` picture."""

    def __init__(self, nth: int) -> None:
        self.nth = nth

    def judge(self, images):
        kept = [int(image.pixels[0, 0, 0]) % self.nth == 0 for image in images]
        return [Judgement(good, "" if good else "not visible", {"share": 0.5}) for good in kept]


def test_draws_until_enough_passed_and_keeps_the_rejects_with_their_reason(tmp_path):
    augmenter = Numbered()
    records = pools.fill(augmenter, 10, 7, tmp_path / "pool", Every(3), 4)
    assert augmenter.drawn == list(range(len(records)))
    assert sum(record["kept"] for record in records) >= 10
    assert {record["reason"] for record in records if not record["kept"]} == {"not visible"}
    assert all((tmp_path / "pool" / record["path"]).is_file() for record in records)
    assert records[1]["mask"] == "00001_mask.png" and records[2]["mask"] is None
    assert [path.name for path in pools.kept(tmp_path / "pool", 3)] == ["00000.png", "00003.png", "00006.png"]
    assert json.loads((tmp_path / "pool" / pools.RECORDS).read_text()) == records


def test_stopped_and_gone_on_with_gives_the_same_pool(tmp_path):
    whole = pools.fill(Numbered(), 12, 7, tmp_path / "whole", Every(2), 4)

    class Killed(Exception):
        pass

    class Dying(Numbered):
        def generate(self, n, seed, first=0):
            if first:
                raise Killed
            return super().generate(n, seed, first)

    with pytest.raises(Killed):
        pools.fill(Dying(), 12, 7, tmp_path / "parts", Every(2), 4)
    survivor = Numbered()
    assert pools.fill(survivor, 12, 7, tmp_path / "parts", Every(2), 4) == whole
    assert survivor.drawn[0] > 0


def test_gives_up_after_the_attempts_and_says_so(tmp_path, caplog):
    records = pools.fill(Numbered(), 10, 0, tmp_path / "pool", Every(20), 3)
    assert len(records) == 30
    assert "only 2 of 10" in caplog.text


def test_no_image_passed_is_one_line(tmp_path):
    class Nothing:
        def judge(self, images):
            return [Judgement(False, "off texture") for _ in images]

    with pytest.raises(DataError, match="all 8 images of pool were rejected .8 off texture.") as caught:
        pools.fill(Numbered(), 4, 0, tmp_path / "pool", Nothing(), 2)
    assert "\n" not in str(caught.value)


def test_an_image_that_shows_nothing_is_rejected_with_the_gate_off_too(tmp_path):
    class Fading(Numbered):
        def generate(self, n, seed, first=0):
            for image in super().generate(n, seed, first):
                yield SyntheticImage(image.pixels, np.zeros((4, 4), np.uint8), {}) if first < 4 else image

    records = pools.fill(Fading(), 4, 0, tmp_path / "pool", None, 4)
    assert [record["reason"] for record in records[:5]] == ["not visible"] * 4 + [""]
    assert len(pools.kept(tmp_path / "pool")) == 4


def test_a_full_disk_leaves_what_can_be_gone_on_with(tmp_path, monkeypatch):
    written = []
    write = pools.write_png

    def full(path, pixels):
        if len(written) == 20:
            raise OSError(28, "No space left on device")
        written.append(path)
        write(path, pixels)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(pools, "write_png", full)
        pools.fill(Numbered(), 30, 1, tmp_path / "pool", None, 1)
    assert pools.fill(Numbered(), 30, 1, tmp_path / "pool", None, 1) == pools.fill(
        Numbered(), 30, 1, tmp_path / "again", None, 1
    )
