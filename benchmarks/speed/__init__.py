"""How fast it is: searching, encoding, decoding, the networks, and each of them beside its peers."""
