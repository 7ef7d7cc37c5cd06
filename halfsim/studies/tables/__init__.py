"""Tables that are computed rather than trained, and a few that train on the way: pure functions of plain arguments."""
