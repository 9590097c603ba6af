"""Untrusted files: size limits, no unpickling, native parsers in a separate process."""
