"""The isolation language: Rust functions as libraries in pinned workers, after ATC'18's Micro."""
