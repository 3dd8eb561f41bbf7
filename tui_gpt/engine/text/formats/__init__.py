"""Files of documents: plain text, JSON Lines, CSV and Parquet, compressed or not."""
