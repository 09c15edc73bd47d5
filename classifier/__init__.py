"""Which repository is meant."""
