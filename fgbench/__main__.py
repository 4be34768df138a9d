"""`python -m fgbench`."""

from fgbench.cli import main

if __name__ == "__main__":
    main()
