"""`inandout-inspect verify` on a good bundle; damaged ones are in the bad-input table."""

from inspector.bundle import recalibrate


def test_says_what_the_bundle_is(inspect_cli, tiny, tiny_bundle) -> None:
    made = tiny_bundle()
    made = recalibrate(made.folder, tiny.calibration(0.25, review_band=(0.2, 0.3)))
    done = inspect_cli("verify", "bundle")
    assert (done.returncode, done.stderr) == (0, "")
    for expected in (
        f"bundle       {made.identity}",
        "input        32 x 48, crop none",
        "policy       max-f1",
        "threshold    0.25 (temperature 1, bias 0)",
        "review band  0.2 to 0.3",
        made.manifest.models[0].sha256,
        "all 1 files match their checksums",
    ):
        assert expected in done.stdout
