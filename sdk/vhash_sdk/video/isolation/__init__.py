"""Decoding in processes of their own, which a hostile file may take down."""
