"""The table of losses across kills."""

from trainer.augment.stable_diffusion.losses import LossRow, read, table

ROWS = [LossRow(1, 0.5, 0.25, 1e-3), LossRow(2, 0.4, 0.2, 5e-4), LossRow(3, 0.3, None, 0.0)]


def test_rows_come_back(tmp_path):
    with table(tmp_path / "losses.csv", 0) as write:
        for row in ROWS:
            write(row)
    assert read(tmp_path / "losses.csv") == ROWS
    assert (tmp_path / "losses.csv").read_text().splitlines()[0] == "step,instance_loss,prior_loss,learning_rate"
    assert read(tmp_path / "none.csv") == []


def test_a_resumed_run_replaces_what_it_repeats_and_what_was_cut_short(tmp_path):
    path = tmp_path / "losses.csv"
    with table(path, 0) as write:
        for row in ROWS:
            write(row)
    path.write_text(path.read_text() + "4,0.")
    with table(path, 2) as write:
        write(LossRow(3, 0.1, 0.1, 0.0))
    assert read(path) == [*ROWS[:2], LossRow(3, 0.1, 0.1, 0.0)]
