"""`simdrop train`, a net without and with dropout; `command.run` is the way through the files."""
