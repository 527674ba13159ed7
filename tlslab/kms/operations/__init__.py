"""The operations of the API, one module per subject; table.py lists them all."""
