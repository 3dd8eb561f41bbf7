"""The parts of the Chat tab: the text, what is kept of it, how it is drawn, and who writes it."""
