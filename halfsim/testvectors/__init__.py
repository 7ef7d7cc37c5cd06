"""Golden test vectors: operands, files, and checking designs against them."""
