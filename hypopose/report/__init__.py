"""Pictures, evaluations, judgements and the report; nothing is computed that rooms above do not."""
