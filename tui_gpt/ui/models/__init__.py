"""The parts of the Models tab: the library as rows, the table, the details, the note."""
