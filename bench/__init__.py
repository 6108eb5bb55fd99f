"""How fast, how small: figures of the real code, each beside the cheapest thing that could do the same job.

`make bench` runs all of it, `python -m bench plan apply.single` a part. One file an area; what they share is in
`harness` and `builders`.

Promises: the code that is measured is the code that ships, and its inputs are made from fixed seeds.
Never: is imported by the product or by a test; never judges by time unless asked with `--check`.
"""
