"""The command line. Imports of everything heavy are inside the commands: ``--help`` must come at once."""

from gradcheck.cli.main import main

__all__ = ["main"]
