"""Known mistakes, put back one by one: each must be noticed by the tests that are there for it.

`make mutants` copies the package and the tests, changes one place, and runs the named tests on the copy. A mutant that
lives means that a test has gone blind; then the test is repaired, not the mutant. A new one is a row in the table of
its room: what the mistake is, the file, the old text (there exactly once), the new text, the tests that must notice it.
"""
