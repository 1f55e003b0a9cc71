"""An hour of everything that viewers do, and what it leaves behind in the program."""
