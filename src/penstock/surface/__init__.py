"""The methods that mean the same on sequences and on streams, a theme a file. Each makes a node; none computes."""
