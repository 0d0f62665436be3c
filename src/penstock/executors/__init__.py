"""Where work runs: one executor a file, and above them the window that gives order and look-ahead."""
