"""The GPT itself: text, network, training, generation. Knows nothing of any screen."""
