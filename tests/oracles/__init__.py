"""Independent references: they share no arithmetic with the package under test."""
