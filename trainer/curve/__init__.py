"""Learning curves: average precision against the number of real defects, with and without synthetic ones."""
