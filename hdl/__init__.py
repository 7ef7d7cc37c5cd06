"""Hardware designs of binary16 units, checked in simulation against halfsim's vectors, and mutants of them."""
