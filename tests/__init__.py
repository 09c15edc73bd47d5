"""The tests: the rooms mirrored, and beside them the emulators, journeys, attacks, faults and benchmarks."""
