"""The parts of the benchmarks of accuracy; the commands that use them stand one folder up."""
