"""The description of a pipeline, and the seams that everything else meets at; standard library and NumPy only."""
