"""Loops over arrays; they know no arithmetic but that of `halfsim.core`."""
