"""The command line, `seganypet`: one file per subcommand, heavy imports only in the one that runs.

Public name: `main`. Exit codes are in `exit_codes`.
"""

from SegAnyPETLib.cli.entry import main

__all__ = ["main"]
