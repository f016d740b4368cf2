"""What a snapshot is made of: its format, and one module per kind of index in it."""
