"""The contract of each port: clauses that the fake and the real one both keep."""
