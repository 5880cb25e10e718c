"""Functions on this machine: versions that start on their first request and go when nobody asks."""
