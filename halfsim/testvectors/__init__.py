"""Golden test vectors: operands, files, and checking designs against them."""

from halfsim.testvectors.subjects import SUBJECTS, Subject, subject

__all__ = ["SUBJECTS", "Subject", "subject"]
