"""Tests of the face that types."""
