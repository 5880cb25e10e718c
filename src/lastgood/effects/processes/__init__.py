"""Processes that outlive the controller: a tiny supervisor, and the client that asks it."""
