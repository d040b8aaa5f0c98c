"""Events of another group's simulator, `attpc_engine`: its hits, GET traces made around them, their truth."""
