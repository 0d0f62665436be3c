"""Older libraries' interfaces on this engine: change the import, and the program runs on Penstock."""
