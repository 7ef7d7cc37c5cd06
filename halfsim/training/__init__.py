"""Training a network with every number and every step of arithmetic as a `halfsim.policy.Policy` says."""
