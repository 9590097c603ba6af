"""Pictures, tables, pages and PDF of results; this package only draws and computes no scores."""
