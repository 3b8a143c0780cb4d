"""What people look at: error curves in the terminal and as figures, and the report of a record as one page."""
