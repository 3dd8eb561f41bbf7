"""Model folders as other tools read and write them."""
