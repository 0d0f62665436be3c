"""Work that several claims share, and the hand-made limits."""
