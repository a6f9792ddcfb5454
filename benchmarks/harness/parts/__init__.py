"""The parts of the benchmark; each has `run(stage)`, which gives figures, and `tables(figures)`."""
