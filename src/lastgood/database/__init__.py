"""Migration files of every dialect as one model; what to run; what a schema is; what a proof says. No I/O."""
