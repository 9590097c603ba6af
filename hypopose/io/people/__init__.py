"""Tracking people from frame to frame, and correcting identities by hand."""
