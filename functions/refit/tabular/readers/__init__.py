"""Read dropped files of all supported formats as streams of CSV lines, in bounded memory."""
