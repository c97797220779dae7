"""`python -m attrib`, the same as the installed `attrib`."""

from attrib.cli.main import main

if __name__ == "__main__":
    main()
