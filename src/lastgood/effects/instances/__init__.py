"""Instances of services: where they listen, whether they are well, and what they still have to answer."""
