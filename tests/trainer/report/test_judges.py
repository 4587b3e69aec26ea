"""The table of evidence."""

from trainer.report import judges


def test_kinds_come_first_then_their_sums_and_the_chosen_one_is_marked():
    known = judges.Judges(
        {"plain+dense+memory": 0.9512, "plain+memory": 0.94, "plain": 0.9, "dense": 0.8, "memory": 0.7},
        {"plain": 0.5, "memory": 0.5},
        False,
    )
    assert [(row.name, row.ap, row.part) for row in judges.rows(known)] == [
        ("plain", "0.900", "50.0\N{NARROW NO-BREAK SPACE}%"),
        ("dense", "0.800", "–"),
        ("memory", "0.700", "50.0\N{NARROW NO-BREAK SPACE}%"),
        ("plain + memory", "0.940", "100.0\N{NARROW NO-BREAK SPACE}%"),
        ("plain + dense + memory", "0.951", "–"),
    ]


def test_a_kind_that_won_alone_is_the_whole_verdict():
    known = judges.Judges({"plain+memory": 0.8, "plain": 0.7, "memory": 0.9}, {"memory": 1.0}, True)
    assert [row.part for row in judges.rows(known)] == ["–", "100.0\N{NARROW NO-BREAK SPACE}%", "–"]
