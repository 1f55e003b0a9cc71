"""`python -m mien`: the same as `python main.py`."""

from mien.app import main

if __name__ == "__main__":
    main()
