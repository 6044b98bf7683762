"""The command `simdrop`: main.py parses the command line, train.py and sweep.py carry it out."""
