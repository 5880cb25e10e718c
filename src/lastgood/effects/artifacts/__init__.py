"""Bundles of code on this machine: fetched, built once, sealed, checked whenever they are used."""
