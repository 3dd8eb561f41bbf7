"""The GPT itself: text, network, training, generation. Knows nothing of any screen."""

import os

# libgomp reads this when torch loads it, which happens after this package is imported. Its threads wait for each other
# by spinning, which costs most while anything else wants a core (a trainer, say): docs/experiments.md.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
