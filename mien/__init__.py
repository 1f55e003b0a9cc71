"""The parts Mien is built from; each does one thing and can be tested alone."""
