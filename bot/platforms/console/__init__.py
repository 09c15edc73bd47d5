"""A chat platform on the terminal: for trying things without any account, and for scripting."""
