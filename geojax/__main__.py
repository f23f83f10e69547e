"""`python -m geojax` is the command `geojax`."""

from .cli import main

if __name__ == "__main__":
    main()
