"""From a model to text: sampling, streaming, evaluation of a file."""
