"""`python -m tlslab`, the same as the command `tlslab`."""

from tlslab.cli import main

if __name__ == "__main__":
    main()
