"""Files that viewers drop on the page, analyzed one after the other by a process of their own."""
