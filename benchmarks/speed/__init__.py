"""The parts of the benchmarks of speed; the commands that use them stand one folder up."""
