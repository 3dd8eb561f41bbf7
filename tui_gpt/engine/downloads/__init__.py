"""What comes over the network: files by their hash, and repositories of the Hugging Face Hub."""
