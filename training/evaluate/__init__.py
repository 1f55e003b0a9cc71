"""How good a network is: its figures, calibration and costs, as files, tables and plots."""
