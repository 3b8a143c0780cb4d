"""Cases: the recipe of one check, its line, its arrays, and how recipes are drawn."""
