"""From text to tokens: reading, tokenizers, built-in corpora, token files, batches."""
