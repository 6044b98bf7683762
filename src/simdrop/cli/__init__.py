"""The command `simdrop`: main.py reads the command line, train.py and sweep.py do what it says."""
