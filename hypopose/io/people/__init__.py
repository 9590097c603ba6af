"""Who is who: people followed from frame to frame, and identities corrected by hand."""
