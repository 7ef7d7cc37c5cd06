"""The explorer: a local page that shows what `halfsim.explain` and `halfsim.explain_dot` say, as one types."""
