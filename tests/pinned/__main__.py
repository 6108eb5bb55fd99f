"""`python -m tests.pinned`: pins what is new. What was pinned before stays as it is."""

from __future__ import annotations

from tests.pinned import FILE, missing


def main() -> None:
    new = missing()
    with FILE.open("a") as file:
        file.writelines(f"{one.line()}\n" for one in new)
    print(f"{len(new)} new: {', '.join(one.kind for one in new) or 'nothing'}")


if __name__ == "__main__":
    main()
