"""Databases under management: one file for each kind, and the runner that both share."""
