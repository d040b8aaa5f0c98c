"""One page a stage: a pure function of one event."""
