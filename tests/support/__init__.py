"""Real servers and a whole appliance for tests and benchmarks."""
