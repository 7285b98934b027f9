"""Absolute figures of this machine; the project's promises are ratios among them."""
