"""The demonstration: the whole product against stand-ins of the vendors, on real HTTP."""
