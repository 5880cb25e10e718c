"""What was counted -> good, bad or undecided, with the reason. Pure: the same readings give the same verdict."""
