"""Adapters (see ``gradcheck.subject.adapters``), one module per family; all of them are imported by name."""
