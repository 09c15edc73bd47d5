"""Where boxes are made: one module per backend, one Protocol for all."""
