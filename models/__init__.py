"""Network definitions in torch."""
