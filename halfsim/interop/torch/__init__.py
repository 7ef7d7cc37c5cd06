"""PyTorch models under simulated arithmetic; what is public of it is in `halfsim.torch`. Only this imports PyTorch."""
