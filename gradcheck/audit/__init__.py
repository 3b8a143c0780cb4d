"""How strong the suite is: planted faults, the share of them that is caught, and the smallest error it sees."""
