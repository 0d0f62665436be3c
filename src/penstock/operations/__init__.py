"""What a pipeline can say: one concept per file, its fields and its meaning, and nothing about where it runs."""
