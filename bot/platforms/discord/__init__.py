"""Discord: its gateway in, its REST API out."""
