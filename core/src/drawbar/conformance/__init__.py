"""The conformance kit: the contract as tests, for any engine and any store."""
