"""How items travel: recycled memory, and the encoding of items in it."""
