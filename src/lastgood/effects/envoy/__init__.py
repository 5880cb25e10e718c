"""Envoy: started from a bootstrap, told what to serve over delta ADS, asked through its admin socket."""
