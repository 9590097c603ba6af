"""Files from strangers: size limits, no unpickling, native parsers in a process of their own."""
