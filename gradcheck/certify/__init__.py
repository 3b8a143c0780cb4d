"""Certificates: what is proved of a reference, by arithmetics that share nothing with its own derivation."""

from gradcheck.certify.certificate import Certificate, Summary
from gradcheck.certify.certify import certify, certify_case

__all__ = ["Certificate", "Summary", "certify", "certify_case"]
